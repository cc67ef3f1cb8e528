package web

import (
	"net/http"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/health"
	"sallyport/relay/registry"
	"sallyport/relay/session"
)

type connectionView struct {
	registry.Connection
	MayEdit   bool
	Warnings  []string
	Agent     *connectionAgent
	Session   *session.Session // of Inspected; nil: none
	Inspected session.Inspection
	Now       time.Time
	Test      *testView
	Compared  *compareView
	Send      sendView
	Watched   *healthView
}

type connectionAgent struct {
	ID, Name string
	Status   agentStatus
}

// connectionExtras is what an action has to show on the connection's page.
type connectionExtras struct {
	test       *testView
	comparison *compareView
	send       sendView
	// problem is what went wrong on the way here.
	problem *notice
	sent    []health.Sent // of a test notice
}

func (h *handler) showConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.connectionPage(w, r, actor, http.StatusOK, connectionExtras{})
}

func (h *handler) connectionPage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, extras connectionExtras) error {
	ctx := r.Context()
	c, err := h.Registry.Connection(ctx, actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	view := connectionView{
		Connection: c, Now: h.Clock(), MayEdit: actor.MayEdit(),
		Test: extras.test, Compared: extras.comparison, Send: extras.send.withDefaults(),
	}
	if view.Warnings, err = h.Registry.Warnings(ctx, actor, c.ID, c.Spec); err != nil {
		return err
	}
	if view.Watched, err = h.healthOf(ctx, actor, c); err != nil {
		return err
	}
	view.Watched.Sent = extras.sent
	if c.AgentID != "" {
		agent, err := h.Registry.Agent(ctx, actor, c.AgentID)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err == nil {
			view.Agent = &connectionAgent{ID: agent.ID, Name: agent.Name, Status: statusOf(agent)}
		}
	}
	if view.Inspected, err = h.Sessions.Inspect(ctx, actor.WorkspaceID, c.ID, c.Auth); err != nil {
		return err
	}
	view.Session = view.Inspected.Session
	above := extras.problem
	if above == nil {
		above = noticeOf(r)
	}
	return h.render(w, status, h.views.connection, page{Title: c.Name, Section: "connections", Actor: actor, Notice: above, Body: view})
}

// ModeWord, MediaWord and AuthWord are settings in the words of the form.
func (v connectionView) ModeWord() string  { return modeWord(v.Mode) }
func (v connectionView) MediaWord() string { return choiceWord("mediaType", string(v.MediaType)) }
func (v connectionView) AuthWord() string  { return choiceWord("auth.type", string(v.Auth.Type)) }

// SignsIn reports whether the connection has sessions.
func (v connectionView) SignsIn() bool { return v.Auth.Type.SignsIn() }

// ContentType is how a body is sent through the connection.
func (v connectionView) ContentType() string { return v.MediaType.ContentType() }

func choiceWord(path, value string) string {
	for _, f := range formFields() {
		for _, c := range f.choices {
			if f.path == path && c.Value == value {
				return c.Label
			}
		}
	}
	return value
}
