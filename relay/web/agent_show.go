package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/registry"
)

type agentView struct {
	ID, Name  string
	NewName   string
	NameError string
	Status    agentStatus
	Pause     *proto.Paused // nil: the site has not paused it
	MayEdit   bool
	CreatedAt time.Time
	Machines  []machineRow
	Policy    sitePolicy
	UsedBy    []registry.Ref
	History   []historyRow
}

type machineRow struct {
	ID, Hostname, OS, Arch, Version string
	Status                          agentStatus
	LatencyMs                       float64
	InFlight                        int
	Config                          *proto.ConfigState // nil: not known
}

// Faults are what is wrong with the last edit of the machine's agent.yaml.
func (m machineRow) Faults() []string {
	if m.Config == nil || m.Config.Error == "" {
		return nil
	}
	return strings.Split(m.Config.Error, "\n")
}

// Waits are the keys of agent.yaml that wait for a restart.
func (m machineRow) Waits() string {
	if m.Config == nil {
		return ""
	}
	return strings.Join(m.Config.NeedsRestart, ", ")
}

type historyRow struct {
	Status, Word, Text string
	At                 time.Time
}

// historyShown is how many comings and goings the page lists.
const historyShown = 25

func (h *handler) showAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.agentPage(w, r, actor, http.StatusOK, nil, "")
}

// agentPage shows the agent; newName, with its mistake, is what its owner
// tried to call it.
func (h *handler) agentPage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, newName *string, nameError string) error {
	a, err := h.Registry.Agent(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	view := agentView{ID: a.ID, Name: a.Name, NewName: a.Name, NameError: nameError, Status: statusOf(a), Pause: pauseOf(a), MayEdit: actor.MayEdit(), CreatedAt: a.CreatedAt}
	if newName != nil {
		view.NewName = *newName
	}
	for _, in := range a.Instances {
		view.Machines = append(view.Machines, machineRowOf(in))
	}
	view.Policy = policyOf(a.Instances)
	if view.UsedBy, err = h.Registry.ConnectionsOf(r.Context(), actor, a.ID); err != nil {
		return err
	}
	history, _, err := h.Registry.History(r.Context(), actor, a.ID, registry.Page{Limit: historyShown})
	if err != nil {
		return err
	}
	for _, e := range history {
		view.History = append(view.History, historyRowOf(e))
	}
	return h.render(w, status, h.views.agent, page{Title: a.Name, Section: "agents", Actor: actor, Notice: noticeOf(r), Body: view})
}

func machineRowOf(in registry.Instance) machineRow {
	row := machineRow{ID: in.ID, Hostname: in.Hostname, OS: systemName(in.OS), Arch: in.Arch, Version: in.Version, LatencyMs: msOf(in.Latency), InFlight: in.InFlight, Config: in.Config}
	switch {
	case in.Online && in.Paused != nil:
		row.Status = agentStatus{Status: "paused", Word: "Paused by the site", Detail: "since", Since: in.Paused.Since}
	case in.Online:
		row.Status = agentStatus{Status: "online", Word: "Online", Detail: "since", Since: in.ConnectedAt}
	case in.LastSeenAt.IsZero():
		row.Status = agentStatus{Status: "never_connected", Word: "Never connected"}
	default:
		row.Status = agentStatus{Status: "offline", Word: "Offline", Detail: "since", Since: in.LastSeenAt}
	}
	return row
}

func historyRowOf(e registry.Happening) historyRow {
	row := historyRow{Status: "offline", Word: "Offline", Text: e.Hostname, At: e.At}
	if e.Online {
		row.Status, row.Word = "online", "Online"
	}
	if e.Reason != "" {
		row.Text += ": " + e.Reason
	}
	if e.Cause != "" {
		separator := ": "
		if e.Reason != "" {
			separator = ". "
		}
		row.Text += separator + causeText(e)
	}
	return row
}

// systemName is an operating system as its users call it.
func systemName(goos string) string {
	switch goos {
	case "linux":
		return "Linux"
	case "windows":
		return "Windows"
	case "darwin":
		return "macOS"
	}
	return goos
}

func (h *handler) renameAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	id, name := r.PathValue("id"), r.PostForm.Get("name")
	_, err := h.Registry.RenameAgent(r.Context(), actor, id, name)
	if e := proto.AsError(err); e != nil && e.Code == proto.CodeValidation {
		return h.agentPage(w, r, actor, http.StatusUnprocessableEntity, &name, sentence(e))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/agents/"+url.PathEscape(id)+"?notice=renamed", http.StatusSeeOther)
	return nil
}
