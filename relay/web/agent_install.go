package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/registry"
)

type agentNewView struct{ Name, Error string }

func (h *handler) newAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "install agents"); err != nil {
		return err
	}
	return h.newAgentPage(w, actor, http.StatusOK, agentNewView{})
}

func (h *handler) newAgentPage(w http.ResponseWriter, actor account.Actor, status int, view agentNewView) error {
	return h.render(w, status, h.views.agentNew, page{Title: "Install an agent", Section: "agents", Actor: actor, Body: view})
}

func (h *handler) createAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	name := r.PostForm.Get("name")
	agent, err := h.Registry.CreateAgent(r.Context(), actor, name)
	if e := proto.AsError(err); e != nil && e.Code == proto.CodeValidation {
		return h.newAgentPage(w, actor, http.StatusUnprocessableEntity, agentNewView{Name: name, Error: sentence(e)})
	}
	if err != nil {
		return err
	}
	// 307 keeps the method: the next page makes a code, and making another one
	// by reloading it does no harm, where making another agent would.
	http.Redirect(w, r, installPath(agent.ID), http.StatusTemporaryRedirect)
	return nil
}

func installPath(agentID string) string { return "/agents/" + url.PathEscape(agentID) + "/install" }

type agentInstallView struct {
	ID, Name  string
	Relay     string
	Status    agentStatus
	Arrived   bool // the machine that is waited for is online
	Enrolment *enrolmentView
}

type enrolmentView struct {
	Systems   []system
	Known     int // machines that were there before: they are not waited for
	ExpiresAt time.Time
}

// system is one tab of the installation.
type system struct {
	Key, Label, Command, Help string
	Chosen                    bool
}

func (h *handler) showInstall(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "install agents"); err != nil {
		return err
	}
	return h.installPage(w, r, actor, nil)
}

// createEnrolment makes a one-time code and shows the commands with it, this
// once.
func (h *handler) createEnrolment(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	agent, err := h.Registry.Agent(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	enrolment, err := h.Registry.CreateEnrolment(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.installPage(w, r, actor, &enrolmentView{Known: len(agent.Instances), ExpiresAt: enrolment.ExpiresAt, Systems: systems(enrolment, r.UserAgent())})
}

func (h *handler) installPage(w http.ResponseWriter, r *http.Request, actor account.Actor, enrolment *enrolmentView) error {
	agent, err := h.Registry.Agent(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	known, _ := strconv.Atoi(r.URL.Query().Get("known")) // 0: any machine will do
	if enrolment != nil {
		known = enrolment.Known
	}
	arrived := false
	for i, in := range agent.Instances { // oldest first
		arrived = arrived || in.Online && i >= known
	}
	view := agentInstallView{Arrived: arrived, ID: agent.ID, Name: agent.Name, Relay: h.PublicURL.String(), Status: statusOf(agent), Enrolment: enrolment}
	return h.render(w, http.StatusOK, h.views.agentInstall, page{Title: "Install " + agent.Name, Section: "agents", Actor: actor, Body: view})
}

// systems are those that there is a command for. The reader's own comes
// chosen: most try the first agent on the machine before them.
func systems(e registry.Enrolment, userAgent string) []system {
	help := func(fetched bool, where, installs string) string {
		if fetched {
			return where + ". It fetches the agent from this relay, checks it, and " + installs + "."
		}
		return where + ", where sallyport-agent is installed."
	}
	c, fetched := e.Commands, e.Fetched
	all := []system{
		{Key: "linux", Label: "Linux", Command: c.Linux, Help: help(fetched.Linux, "In a terminal", "installs it as a service")},
		{Key: "windows", Label: "Windows", Command: c.Windows, Help: help(fetched.Windows, "In PowerShell, started as administrator", "installs it as a service")},
		{Key: "macos", Label: "macOS", Command: c.MacOS, Help: help(fetched.MacOS, "In Terminal", "installs it as a service")},
		{Key: "docker", Label: "Docker", Command: c.Docker, Help: "On any machine with Docker. It fetches the agent's image from this relay, and keeps its identity in a volume."},
	}
	own := "linux"
	switch {
	case strings.Contains(userAgent, "Windows"):
		own = "windows"
	case strings.Contains(userAgent, "Macintosh"):
		own = "macos"
	}
	var available []system
	for _, s := range all {
		if s.Command != "" {
			s.Chosen = s.Key == own
			available = append(available, s)
		}
	}
	return available
}

// sentence is an error's text where there is room for one line.
func sentence(e *proto.Error) string { return strings.TrimSpace(e.Detail + " " + e.Hint) }
