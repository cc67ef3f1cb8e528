package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/store"
)

// Status of an agent.
type Status string

const (
	NeverConnected Status = "never_connected"
	Online         Status = "online" // at least one of its machines is connected
	Offline        Status = "offline"
	Paused         Status = "paused" // its site has paused every machine of it that is connected
)

// Agent is a site behind a firewall and the machines that serve it.
type Agent struct {
	ID         string
	Name       string
	Status     Status
	Instances  []Instance // every enrolled machine, connected or not, oldest first
	LastSeenAt time.Time  // of any of its machines; zero: never
	UsedBy     int        // how many connections run through it
	CreatedAt  time.Time
	Version    int64
}

// Instance is an enrolled machine. What it said of itself is kept when it goes
// offline; ConnectedAt and LastSeenAt are then those of the last time.
type Instance struct {
	hub.Instance
	Online     bool
	EnrolledAt time.Time
}

// Agents lists agents by name.
func (r *Registry) Agents(ctx context.Context, actor account.Actor, p Page) ([]Agent, string, error) {
	rows, next, err := r.workspace(actor).Agents(ctx, store.Page(p))
	if err != nil {
		return nil, "", fault(err, "agent")
	}
	agents, err := r.complete(ctx, actor, rows)
	return agents, next, err
}

// Agent returns one agent.
func (r *Registry) Agent(ctx context.Context, actor account.Actor, id string) (Agent, error) {
	row, err := r.workspace(actor).Agent(ctx, id)
	if err != nil {
		return Agent{}, fault(err, "agent")
	}
	agents, err := r.complete(ctx, actor, []store.Agent{row})
	if err != nil {
		return Agent{}, err
	}
	return agents[0], nil
}

// complete adds machines, use and live state to rows, by two queries however
// many there are, and a third where other relays share the store.
func (r *Registry) complete(ctx context.Context, actor account.Actor, rows []store.Agent) ([]Agent, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	w := r.workspace(actor)
	enrolled, err := w.Instances(ctx, ids)
	if err != nil {
		return nil, fault(err, "agent")
	}
	uses, err := w.CountConnections(ctx, ids)
	if err != nil {
		return nil, fault(err, "agent")
	}
	present, err := w.Present(ctx, ids, r.roster.elsewhere())
	if err != nil {
		return nil, fault(err, "agent")
	}
	elsewhere := make(map[string]store.Presence, len(present))
	for _, p := range present {
		elsewhere[p.InstanceID] = p
	}
	machines := make(map[string][]store.Instance, len(rows))
	for _, in := range enrolled {
		machines[in.AgentID] = append(machines[in.AgentID], in)
	}
	agents := make([]Agent, len(rows))
	live := r.liveElsewhere(ctx, present)
	for i, row := range rows {
		agents[i] = withPresence(row, machines[row.ID], slices.Concat(live[row.ID], r.Presence.Instances(row.ID)), elsewhere)
		agents[i].UsedBy = uses[row.ID]
	}
	return agents, nil
}

// liveElsewhere asks other relays about the machines that they say they hold.
func (r *Registry) liveElsewhere(ctx context.Context, present []store.Presence) map[string][]hub.Instance {
	if r.Elsewhere == nil || len(present) == 0 {
		return nil
	}
	var ids []string
	for _, p := range present {
		if !slices.Contains(ids, p.AgentID) {
			ids = append(ids, p.AgentID)
		}
	}
	return r.Elsewhere(ctx, ids)
}

// withPresence joins what is on file with who is connected now: to this relay, or
// to another that could be asked, of which the last counts; or, by instance, to
// one that could not.
func withPresence(row store.Agent, enrolled []store.Instance, connected []hub.Instance, elsewhere map[string]store.Presence) Agent {
	a := Agent{ID: row.ID, Name: row.Name, Status: NeverConnected, Version: row.Version, CreatedAt: row.CreatedAt,
		Instances: make([]Instance, 0, len(enrolled))}
	live := make(map[string]hub.Instance, len(connected))
	for _, in := range connected {
		live[in.ID] = in
	}
	for _, e := range enrolled {
		in := Instance{EnrolledAt: e.EnrolledAt, Instance: hub.Instance{ID: e.ID, Hostname: e.Hostname, OS: e.OS, Arch: e.Arch,
			Version: e.Version, ConnectedAt: e.ConnectedAt, LastSeenAt: e.LastSeenAt}}
		if now, ok := live[e.ID]; ok {
			in.Instance, in.Online = now, true
		} else if there, ok := elsewhere[e.ID]; ok {
			in.ConnectedAt, in.Latency, in.Online, in.Paused = there.ConnectedAt, there.Latency, true, pauseOf(e)
		}
		switch {
		case in.Online && in.Paused == nil:
			a.Status = Online
		case in.Online && a.Status != Online:
			a.Status = Paused
		}
		if in.LastSeenAt.After(a.LastSeenAt) {
			a.LastSeenAt = in.LastSeenAt
		}
		a.Instances = append(a.Instances, in)
	}
	if a.Status == NeverConnected && !a.LastSeenAt.IsZero() {
		a.Status = Offline
	}
	return a
}

// pauseOf is what the machine's site said of a pause, to whichever relay.
func pauseOf(row store.Instance) *proto.Paused {
	if row.PausedSince.IsZero() {
		return nil
	}
	return &proto.Paused{Since: row.PausedSince, Until: row.PausedUntil, Reason: row.PauseReason}
}

// CreateAgent adds an agent, at which machines can then be enrolled.
func (r *Registry) CreateAgent(ctx context.Context, actor account.Actor, name string) (Agent, error) {
	if err := mayEdit(actor, "add agents"); err != nil {
		return Agent{}, err
	}
	name, err := cleanName(name, "agent")
	if err != nil {
		return Agent{}, err
	}
	now := r.Store.Now()
	row := store.Agent{ID: store.NewID("agt"), Name: name, Version: 1, CreatedAt: now, UpdatedAt: now, UpdatedBy: actor.Name}
	err = r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.CreateAgent(ctx, row); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"agent.create", "agent", row.ID, name, ""})
	})
	if err != nil {
		return Agent{}, fault(err, "agent")
	}
	r.publish(actor.WorkspaceID, event.AgentChanged, row.ID)
	return withPresence(row, nil, nil, nil), nil
}

// RenameAgent changes an agent's name. Its machines notice nothing.
func (r *Registry) RenameAgent(ctx context.Context, actor account.Actor, id, name string) (Agent, error) {
	if err := mayEdit(actor, "rename agents"); err != nil {
		return Agent{}, err
	}
	name, err := cleanName(name, "agent")
	if err != nil {
		return Agent{}, err
	}
	err = r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		was, err := w.Agent(ctx, id)
		if err != nil {
			return err
		}
		if err := w.RenameAgent(ctx, id, name, 0, r.Clock(), actor.Name); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"agent.rename", "agent", id, name, "was " + was.Name})
	})
	if err != nil {
		return Agent{}, fault(err, "agent")
	}
	r.publish(actor.WorkspaceID, event.AgentChanged, id)
	return r.Agent(ctx, actor, id)
}

// DeleteAgent removes an agent and ends the enrolment of its machines. It is
// refused while connections use it.
func (r *Registry) DeleteAgent(ctx context.Context, actor account.Actor, id string) error {
	if err := mayEdit(actor, "delete agents"); err != nil {
		return err
	}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		row, err := w.Agent(ctx, id)
		if err != nil {
			return err
		}
		if err := refuseInUse(ctx, w, row); err != nil {
			return err
		}
		if err := w.DeleteAgent(ctx, id); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"agent.delete", "agent", id, row.Name, ""})
	})
	if errors.Is(err, store.ErrReference) {
		// A connection was saved in the very moment; it can be named now.
		w := r.workspace(actor)
		if row, readErr := w.Agent(ctx, id); readErr == nil {
			if named := refuseInUse(ctx, w, row); named != nil {
				err = named
			}
		}
	}
	if err != nil {
		return fault(err, "agent")
	}
	if r.Disconnect != nil {
		r.Disconnect(id, "", "the agent was deleted")
	}
	r.publish(actor.WorkspaceID, event.AgentChanged, id)
	return nil
}

// namesShown is how many connections a refusal names before it counts.
const namesShown = 5

func refuseInUse(ctx context.Context, w *store.Workspace, agent store.Agent) error {
	uses, err := w.ConnectionsOf(ctx, agent.ID)
	if err != nil || len(uses) == 0 {
		return err
	}
	names := make([]string, 0, namesShown)
	for _, u := range uses[:min(len(uses), namesShown)] {
		names = append(names, "“"+u.Name+"”")
	}
	list := strings.Join(names, ", ")
	if more := len(uses) - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	what := "connections use it: "
	if len(uses) == 1 {
		what = "connection uses it: "
	}
	return &proto.Error{Code: proto.CodeConflict,
		Detail: fmt.Sprintf("Agent “%s” can't be deleted, because %d %s%s.", agent.Name, len(uses), what, list),
		Hint:   "Choose another agent in these connections or delete them first.",
		Facts:  map[string]string{"connections": fmt.Sprint(len(uses))}}
}

// RemoveInstance ends the enrolment of one machine and closes its tunnels.
func (r *Registry) RemoveInstance(ctx context.Context, actor account.Actor, agentID, instanceID string) error {
	if err := mayEdit(actor, "remove machines"); err != nil {
		return err
	}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		machines, err := w.Instances(ctx, []string{agentID})
		if err != nil {
			return err
		}
		if err := w.DeleteInstance(ctx, agentID, instanceID); err != nil {
			return err
		}
		host := ""
		for _, m := range machines {
			if m.ID == instanceID {
				host = m.Hostname
			}
		}
		return r.auditMachine(ctx, w, actor, "instance.remove", agentID, instanceID, host)
	})
	if err != nil {
		return fault(err, "machine")
	}
	if r.Disconnect != nil {
		r.Disconnect(agentID, instanceID, "its enrolment was removed")
	}
	r.publish(actor.WorkspaceID, event.AgentChanged, agentID)
	return nil
}

// FollowLogs is asked before somebody reads what an agent's machines log. That he
// does is written down: the site shares it with those whom it may trust to
// change the agent.
func (r *Registry) FollowLogs(ctx context.Context, actor account.Actor, agentID string) error {
	if err := mayEdit(actor, "read the agents' logs"); err != nil {
		return err
	}
	w := r.workspace(actor)
	row, err := w.Agent(ctx, agentID)
	if err != nil {
		return fault(err, "agent")
	}
	return fault(r.audit(ctx, w, actor, change{"agent.logs", "agent", agentID, row.Name, ""}), "agent")
}

// Ref names a thing.
type Ref struct{ ID, Name string }

// ConnectionsOf lists the connections that use an agent, by name.
func (r *Registry) ConnectionsOf(ctx context.Context, actor account.Actor, agentID string) ([]Ref, error) {
	rows, err := r.workspace(actor).ConnectionsOf(ctx, agentID)
	if err != nil {
		return nil, fault(err, "agent")
	}
	refs := make([]Ref, len(rows))
	for i, row := range rows {
		refs[i] = Ref(row)
	}
	return refs, nil
}

// Happening is one line of an agent's history.
type Happening struct {
	ID         string
	AgentID    string
	InstanceID string
	Hostname   string
	Online     bool // came online, or went offline
	At         time.Time
	Reason     string // as the relay saw it
	// Cause is why it was offline, as the machine found out itself; see
	// proto.OfflineCause. "": it has not said. Detail is a sentence on it.
	Cause, Detail string
}

// History lists when an agent's machines came and went, newest first.
func (r *Registry) History(ctx context.Context, actor account.Actor, agentID string, p Page) ([]Happening, string, error) {
	rows, next, err := r.workspace(actor).History(ctx, agentID, store.Page(p))
	if err != nil {
		return nil, "", fault(err, "agent")
	}
	history := make([]Happening, len(rows))
	for i, row := range rows {
		history[i] = Happening(row)
	}
	return history, next, nil
}
