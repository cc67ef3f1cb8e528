package store

import (
	"context"
	"strconv"
	"time"
)

// Presence is what one run of a relay says of one instance: that it holds
// tunnels of it, or no longer does.
type Presence struct {
	Run
	Counter     int64 // grows with each write of the run
	WorkspaceID string
	AgentID     string
	InstanceID  string
	Online      bool
	ConnectedAt time.Time
	Latency     time.Duration // as measured when it connected
}

const presenceColumns = `relay_id, epoch, counter, workspace_id, agent_id, instance_id, online, connected_at, latency_us`

func scanPresence(row scanner) (p Presence, err error) {
	var online, latency int64
	err = row.Scan(&p.RelayID, &p.Epoch, &p.Counter, &p.WorkspaceID, &p.AgentID, &p.InstanceID, &online, moment{&p.ConnectedAt}, &latency)
	p.Online, p.Latency = online != 0, time.Duration(latency)*time.Microsecond
	return p, err
}

// SetPresence notes what a relay says of an instance. It reports false, and
// changes nothing, where the relay has said something later already, or the
// instance is not enrolled.
func (w *Workspace) SetPresence(ctx context.Context, p Presence) (bool, error) {
	n, err := w.db.count(ctx, "record where the instance is connected", `
		INSERT INTO presence (`+presenceColumns+`)
		SELECT CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), workspace_id, agent_id, id, CAST($7 AS BIGINT), CAST($8 AS BIGINT), CAST($9 AS BIGINT)
		FROM instances WHERE workspace_id = $1 AND agent_id = $2 AND id = $3
		ON CONFLICT (instance_id, relay_id) DO UPDATE SET
			epoch = excluded.epoch, counter = excluded.counter, online = excluded.online,
			connected_at = excluded.connected_at, latency_us = excluded.latency_us
		WHERE presence.epoch < excluded.epoch OR (presence.epoch = excluded.epoch AND presence.counter < excluded.counter)`,
		w.id, p.AgentID, p.InstanceID, p.RelayID, p.Epoch, p.Counter, flag(p.Online), toMicros(p.ConnectedAt), p.Latency.Microseconds())
	return n > 0, err
}

// Present lists which instances of the given agents the given runs say they
// hold.
func (w *Workspace) Present(ctx context.Context, agentIDs []string, runs []Run) ([]Presence, error) {
	if len(agentIDs) == 0 || len(runs) == 0 {
		return nil, nil
	}
	agents, args := in([]any{w.id}, agentIDs)
	these, args := anyOf(args, runs)
	return all(ctx, w.db.read, "list who is connected elsewhere", scanPresence,
		`SELECT `+presenceColumns+` FROM presence
		WHERE workspace_id = $1 AND online > 0 AND agent_id IN (`+agents+`) AND (`+these+`)
		ORDER BY instance_id, relay_id`, args...)
}

// anyOf is the condition that a row of presence is of one of the runs; of none
// of them where there are none.
func anyOf(args []any, runs []Run) (condition string, all []any) {
	if len(runs) == 0 {
		return "1 = 0", args
	}
	for i, run := range runs {
		if i > 0 {
			condition += " OR "
		}
		args = append(args, run.RelayID, run.Epoch)
		condition += "relay_id = $" + strconv.Itoa(len(args)-1) + " AND epoch = $" + strconv.Itoa(len(args))
	}
	return condition, args
}

// Abandon marks up to limit instances that are held by runs which are not among
// the living, and returns what those said last. Of several relays that do so at
// once, one gets each. Should such a run turn out to live, they count again.
func (s *Store) Abandon(ctx context.Context, living []Run, limit int) ([]Presence, error) {
	these, args := anyOf(nil, living)
	args = append(args, limit)
	return all(ctx, s.write, "find instances of relays that are gone", scanPresence,
		`UPDATE presence SET online = 2 WHERE online = 1 AND (instance_id, relay_id) IN (
			SELECT instance_id, relay_id FROM presence WHERE online = 1 AND NOT (`+these+`) LIMIT $`+strconv.Itoa(len(args))+`)
		RETURNING `+presenceColumns, args...)
}
