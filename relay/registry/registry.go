// Package registry holds what a workspace has on file, its connections and
// agents, and the rules for changing them: who may, what is valid, how secrets
// are kept, what a change does to the stored session, and that it is written to
// the audit trail and told to whoever is watching.
//
// Packages api and web call it with the actor who asks; package hub knows by it
// who is enrolled, and package session keeps its sessions in it. It sends
// nothing to any application, and gives a secret's value only to whoever sends
// a request or runs a test.
package registry

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
	"sallyport/relay/vault"
)

// Presence knows which machines are connected now. Package hub implements it.
type Presence interface {
	Instances(agentID string) []hub.Instance
}

// PresenceFunc is a function as a Presence: the hub is made after the registry
// that it asks who is enrolled, so the one who wires them closes the circle.
type PresenceFunc func(agentID string) []hub.Instance

// Instances implements Presence.
func (f PresenceFunc) Instances(agentID string) []hub.Instance { return f(agentID) }

// Options of a Registry.
type Options struct {
	Store    *store.Store
	Vault    *vault.Vault
	Events   *event.Bus
	Presence Presence
	// Disconnect closes the tunnels of an instance whose enrolment has ended;
	// instanceID "" means all of the agent. May be nil.
	Disconnect func(agentID, instanceID, reason string)
	// DropSession forgets a connection's session, also where it is held in
	// memory, and tells the application (session.Keeper.Drop). nil: it is only
	// removed from the store.
	DropSession func(ctx context.Context, d session.Dropped) error
	// Elsewhere are the machines of some agents that are connected to other relays,
	// as those say themselves. nil: what the store says of them has to do.
	Elsewhere func(ctx context.Context, agentIDs []string) map[string][]hub.Instance
	// Installable tells which systems the relay has an agent for. nil: none.
	Installable func() Installable
	PublicURL   *url.URL // at which agents reach the relay
	RelayID     string
	PeerAddress string // at which other relays reach this one; "": they don't
	Clock       func() time.Time
	Log         *zap.Logger
}

// Registry is safe for use by many goroutines.
type Registry struct {
	Options
	enrolTries *throttle.Throttle
	resolved   resolvedCache
	roster     roster
}

// New makes a Registry. Begin makes its relay known to others that share the
// store.
func New(o Options) *Registry {
	return &Registry{
		Options: o,
		roster:  roster{run: store.Run{RelayID: o.RelayID}},
		// A code has 125 random bits. This only keeps a flood of guesses from
		// keeping the database busy.
		enrolTries: throttle.New(throttle.Options{Burst: 20, Every: 10 * time.Second, Clock: o.Clock}),
	}
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    // 0: 50; at most 500
	Cursor string // as the part before gave it; empty for the first
	Query  string // only those whose name contains it, in whatever case
}

// Warning is what is worth a second look, but keeps nothing from being saved.
type Warning = string

func (r *Registry) workspace(actor account.Actor) *store.Workspace {
	return r.Store.Workspace(actor.WorkspaceID)
}

// mayEdit refuses actors that may only look.
func mayEdit(actor account.Actor, what string) error {
	if actor.MayEdit() {
		return nil
	}
	return &proto.Error{Code: proto.CodeForbidden,
		Detail: "Your role (" + string(actor.Role) + ") does not allow you to " + what + ".",
		Hint:   "Ask an administrator for the role editor."}
}

// publish tells pages and event streams that a thing has changed.
func (r *Registry) publish(workspaceID, kind, id string) {
	if kind == event.ConnectionChanged {
		r.resolved.forget(resolvedKey{workspaceID, id})
	}
	r.Events.Publish(event.Event{WorkspaceID: workspaceID, Type: kind, ID: id})
}

// change is a line of the audit trail in the making.
type change struct {
	action, objectType, objectID, objectName, detail string
}

// audit writes down what an actor did, within the transaction that does it.
func (r *Registry) audit(ctx context.Context, w *store.Workspace, actor account.Actor, c change) error {
	return w.AddAudit(ctx, store.Entry{
		ID: store.NewID("aud"), At: r.Clock(),
		ActorKind: actor.Kind, ActorID: actor.ID, ActorName: actor.Name,
		Action: c.action, ObjectType: c.objectType, ObjectID: c.objectID, ObjectName: c.objectName, Detail: c.detail,
	})
}

// auditMachine writes down what became of a machine, with the name of its agent.
func (r *Registry) auditMachine(ctx context.Context, w *store.Workspace, actor account.Actor, action, agentID, id, host string) error {
	agent, err := w.Agent(ctx, agentID)
	if err != nil {
		return err
	}
	return r.audit(ctx, w, actor, change{action, "instance", id, host, "of the agent " + agent.Name})
}

// fault puts the store's faults into words for callers. what is the kind of
// thing that was asked for.
func fault(err error, what string) error {
	if err == nil || proto.AsError(err) != nil {
		return err
	}
	internal := func(detail string) error {
		return &proto.Error{Code: proto.CodeInternal, Detail: detail, Hint: "Tell whoever runs the relay.", Err: err}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &proto.Error{Code: proto.CodeNotFound, Detail: "There is no such " + what + ".",
			Hint: "It may have been deleted meanwhile.", Err: err}
	case errors.Is(err, store.ErrCursor):
		return &proto.Error{Code: proto.CodeValidation, Detail: "The cursor is not one of this list.",
			Hint: "Send nextCursor of the page before, or none for the first page.", Err: err}
	case errors.Is(err, store.ErrFull):
		return internal("The relay could not save: the disk of its database is full.")
	case errors.Is(err, store.ErrReadOnly):
		return internal("The relay could not save: its database is read-only.")
	case errors.Is(err, store.ErrBusy):
		return internal("The relay could not save: its database is busy.")
	case errors.Is(err, vault.ErrSealed):
		return internal("The stored secrets do not open with this relay's encryption keyset.")
	}
	return err
}

// cleanName checks the name that a person gave to a thing.
func cleanName(name, what string) (string, error) {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "", &proto.Error{Code: proto.CodeValidation, Detail: "The " + what + " needs a name.", Hint: "Give it a name of 1 to 100 characters."}
	case n > 100 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", &proto.Error{Code: proto.CodeValidation, Detail: "The name of the " + what + " is not valid.",
			Hint: "Give it a name of 1 to 100 characters, without line breaks."}
	}
	return name, nil
}

// Entry is one line of the audit trail.
type Entry struct {
	ID         string
	At         time.Time
	ActorKind  string // user, token, agent or system
	ActorID    string
	ActorName  string
	Action     string // such as connection.update
	ObjectType string
	ObjectID   string
	ObjectName string // as it was then
	Detail     string
}

// AuditFilter says which lines of the audit trail are asked for; "" is any.
type AuditFilter struct {
	ObjectType string // such as connection
	ObjectID   string
	ActorID    string
}

// Audit lists who did what, newest first. p.Query is not used.
func (r *Registry) Audit(ctx context.Context, actor account.Actor, f AuditFilter, p Page) ([]Entry, string, error) {
	rows, next, err := r.workspace(actor).Audit(ctx, store.AuditFilter(f), store.Page(p))
	if err != nil {
		return nil, "", fault(err, "list")
	}
	entries := make([]Entry, len(rows))
	for i, e := range rows {
		entries[i] = Entry(e)
	}
	return entries, next, nil
}
