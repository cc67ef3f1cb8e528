package store

import (
	"context"
	"fmt"
	"time"
)

// Agent is a site at which instances are enrolled.
type Agent struct {
	ID        string
	Name      string
	Version   int64 // grows with each change
	CreatedAt time.Time
	UpdatedAt time.Time
	UpdatedBy string
}

const agentColumns = `id, name, version, created_at, updated_at, updated_by`

func scanAgent(row scanner) (a Agent, err error) {
	err = row.Scan(&a.ID, &a.Name, &a.Version, moment{&a.CreatedAt}, moment{&a.UpdatedAt}, &a.UpdatedBy)
	return a, err
}

// CreateAgent adds an agent.
func (w *Workspace) CreateAgent(ctx context.Context, a Agent) error {
	return w.db.exec(ctx, "add the agent", `
		INSERT INTO agents (id, workspace_id, name, name_key, version, created_at, updated_at, updated_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, w.id, a.Name, fold(a.Name), a.Version, toMicros(a.CreatedAt), toMicros(a.UpdatedAt), a.UpdatedBy)
}

// Agents lists agents by name.
func (w *Workspace) Agents(ctx context.Context, p Page) ([]Agent, string, error) {
	query, args, err := byName(`SELECT `+agentColumns+` FROM agents WHERE workspace_id = $1`, w.id, p)
	if err != nil {
		return nil, "", err
	}
	agents, err := all(ctx, w.db.read, "list the agents", scanAgent, query, args...)
	if err != nil {
		return nil, "", err
	}
	agents, next := cut(agents, p, func(a Agent) []string { return []string{fold(a.Name), a.ID} })
	return agents, next, nil
}

// Agent returns one agent.
func (w *Workspace) Agent(ctx context.Context, id string) (Agent, error) {
	return one(ctx, w.db.read, "read the agent", scanAgent,
		`SELECT `+agentColumns+` FROM agents WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// RenameAgent changes the name if the agent is still at the given version; 0
// is any version.
func (w *Workspace) RenameAgent(ctx context.Context, id, name string, version int64, at time.Time, by string) error {
	n, err := w.db.count(ctx, "rename the agent", `
		UPDATE agents SET name = $3, name_key = $4, version = version + 1, updated_at = $5, updated_by = $6
		WHERE workspace_id = $1 AND id = $2 AND (CAST($7 AS BIGINT) = 0 OR version = $7)`,
		w.id, id, name, fold(name), toMicros(at), by, version)
	if err == nil && n == 0 {
		if _, err = w.Agent(ctx, id); err == nil {
			err = fmt.Errorf("rename the agent: %w", ErrVersion)
		}
	}
	return err
}

// DeleteAgent removes an agent with its instances, codes and history.
// ErrReference where connections use it.
func (w *Workspace) DeleteAgent(ctx context.Context, id string) error {
	return w.db.execOne(ctx, "delete the agent", `DELETE FROM agents WHERE workspace_id = $1 AND id = $2`, w.id, id)
}

// CountConnections says of each of the agents how many connections use it.
func (w *Workspace) CountConnections(ctx context.Context, agentIDs []string) (map[string]int, error) {
	counts := make(map[string]int, len(agentIDs))
	if len(agentIDs) == 0 {
		return counts, nil
	}
	list, args := in([]any{w.id}, agentIDs)
	type use struct {
		agentID string
		n       int
	}
	uses, err := all(ctx, w.db.read, "count the agents' connections", func(row scanner) (u use, err error) {
		return u, row.Scan(&u.agentID, &u.n)
	}, `SELECT agent_id, count(*) FROM connections WHERE workspace_id = $1 AND agent_id IN (`+list+`) GROUP BY agent_id`, args...)
	for _, u := range uses {
		counts[u.agentID] = u.n
	}
	return counts, err
}

// Ref names a row.
type Ref struct{ ID, Name string }

// ConnectionsOf lists the connections that use an agent, by name.
func (w *Workspace) ConnectionsOf(ctx context.Context, agentID string) ([]Ref, error) {
	return all(ctx, w.db.read, "list the agent's connections", func(row scanner) (r Ref, err error) {
		return r, row.Scan(&r.ID, &r.Name)
	}, `SELECT id, name FROM connections WHERE workspace_id = $1 AND agent_id = $2 ORDER BY name_key, id`, w.id, agentID)
}

// Event is one line of an agent's history.
type Event struct {
	ID         string
	AgentID    string
	InstanceID string
	Hostname   string
	Online     bool
	At         time.Time
	Reason     string // as the relay saw it
	Cause      string // why it was offline, as it found out itself; "": it has not said
	Detail     string // of Cause, for a person
}

// HistoryKept is how many lines of history an agent keeps.
const HistoryKept = 500

// AddHistory notes that an instance came online or went offline.
func (w *Workspace) AddHistory(ctx context.Context, e Event) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		if err := w.db.exec(ctx, "add to the agent's history", `
			INSERT INTO agent_history (id, workspace_id, agent_id, instance_id, hostname, online, at, reason, cause, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			e.ID, w.id, e.AgentID, e.InstanceID, e.Hostname, flag(e.Online), toMicros(e.At), e.Reason, e.Cause, e.Detail); err != nil {
			return err
		}
		return w.db.exec(ctx, "trim the agent's history", `
			DELETE FROM agent_history WHERE workspace_id = $1 AND agent_id = $2 AND id <= (
				SELECT id FROM agent_history WHERE workspace_id = $1 AND agent_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`,
			w.id, e.AgentID, HistoryKept)
	})
}

// historySlack is how much earlier than the relay a machine may have noticed that
// it went offline: it writes down once a minute that it runs.
const historySlack = 90 * time.Second

// ExplainHistory adds to the history why an instance was offline from e.At until
// a time: to the relay's own line on that, or, where it noticed nothing, by the
// line e. report names the explanation, which counts once however often it comes.
func (w *Workspace) ExplainHistory(ctx context.Context, e Event, until time.Time, report string) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		known, err := all(ctx, w.db.read, "find the explanation", func(row scanner) (id string, err error) { return id, row.Scan(&id) },
			`SELECT id FROM agent_history WHERE workspace_id = $1 AND agent_id = $2 AND instance_id = $3 AND report = $4`,
			w.id, e.AgentID, e.InstanceID, report)
		if err != nil || len(known) > 0 {
			return err
		}
		n, err := w.db.count(ctx, "explain a line of the agent's history", `
			UPDATE agent_history SET cause = $4, detail = $5, report = $6 WHERE workspace_id = $1 AND id = (
				SELECT id FROM agent_history WHERE workspace_id = $1 AND agent_id = $2 AND instance_id = $3
					AND online = 0 AND report = '' AND at >= $7 AND at <= $8 ORDER BY id LIMIT 1)`,
			w.id, e.AgentID, e.InstanceID, e.Cause, e.Detail, report, toMicros(e.At.Add(-historySlack)), toMicros(until))
		if err != nil || n > 0 {
			return err
		}
		if err := w.AddHistory(ctx, e); err != nil {
			return err
		}
		return w.db.exec(ctx, "name the explanation", `UPDATE agent_history SET report = $3 WHERE workspace_id = $1 AND id = $2`, w.id, e.ID, report)
	})
}

// History lists what happened to an agent, newest first.
func (w *Workspace) History(ctx context.Context, agentID string, p Page) ([]Event, string, error) {
	query, args, err := newestFirst(`
		SELECT id, agent_id, instance_id, hostname, online, at, reason, cause, detail FROM agent_history
		WHERE workspace_id = $1 AND agent_id = $2`, w.id, p, agentID)
	if err != nil {
		return nil, "", err
	}
	events, err := all(ctx, w.db.read, "list the agent's history", func(row scanner) (e Event, err error) {
		return e, row.Scan(&e.ID, &e.AgentID, &e.InstanceID, &e.Hostname, &e.Online, moment{&e.At}, &e.Reason, &e.Cause, &e.Detail)
	}, query, args...)
	if err != nil {
		return nil, "", err
	}
	events, next := cut(events, p, func(e Event) []string { return []string{e.ID} })
	return events, next, nil
}

// flag is a truth as both engines store it alike.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
