package store

import (
	"context"
	"time"
)

// Health is how a connection does, as its scheduled pings found it.
type Health struct {
	ConnectionID string
	NextAt       time.Time // zero: no ping is due before the connection is changed
	State        string
	Since        time.Time // of the state; zero: it was never pinged
	CheckedAt    time.Time // zero: never
	Message      string
	Memory       []byte // JSON of package health
}

// HealthResult is what one ping found.
type HealthResult struct {
	ConnectionID string
	At           time.Time
	Result       string // the state that it speaks for
	LatencyMs    float64
	Message      string
}

// HealthChange is a change of a connection's state.
type HealthChange struct {
	ID           string
	ConnectionID string
	At           time.Time
	Was, State   string
	Message      string
	Differences  []byte // JSON of package health
}

const (
	// ResultsKept is how long a ping's result is kept.
	ResultsKept = 7 * 24 * time.Hour
	// HealthChangesKept is how many changes of state a connection keeps, and
	// NoticesKept how many notices.
	HealthChangesKept = 200
	NoticesKept       = 100
)

const healthColumns = `connection_id, next_at, state, since, checked_at, message, memory`

func scanHealth(row scanner) (h Health, err error) {
	var memory string
	err = row.Scan(&h.ConnectionID, optional{&h.NextAt}, &h.State, optional{&h.Since}, optional{&h.CheckedAt}, &h.Message, &memory)
	h.Memory = []byte(memory)
	return h, err
}

// ScheduleHealth has a connection pinged at the time, or before, if that was due
// already.
func (w *Workspace) ScheduleHealth(ctx context.Context, connectionID string, at time.Time) error {
	return w.db.exec(ctx, "schedule a ping", `
		INSERT INTO health (connection_id, workspace_id, next_at, lease, lease_until, state, message, memory)
		SELECT id, workspace_id, CAST($3 AS BIGINT), '', 0, 'unknown', '', '' FROM connections WHERE workspace_id = $1 AND id = $2
		ON CONFLICT (connection_id) DO UPDATE SET next_at = excluded.next_at
		WHERE health.next_at IS NULL OR health.next_at > excluded.next_at`, w.id, connectionID, toMicros(at))
}

// ScheduleHealthOf has the connections through an agent pinged at the time that
// are, or are not, in the state.
func (w *Workspace) ScheduleHealthOf(ctx context.Context, agentID, state string, is bool, at time.Time) error {
	return w.db.exec(ctx, "schedule pings", `
		UPDATE health SET next_at = $5 WHERE workspace_id = $1 AND (state = $3) = (CAST($4 AS BIGINT) = 1) AND next_at > $5 AND connection_id IN (
			SELECT id FROM connections WHERE workspace_id = $1 AND agent_id = $2)`, w.id, agentID, state, flag(is), toMicros(at))
}

// Healths returns how connections do; one that was never scheduled is absent.
func (w *Workspace) Healths(ctx context.Context, connectionIDs []string) (map[string]Health, error) {
	byConnection := make(map[string]Health, len(connectionIDs))
	if len(connectionIDs) == 0 {
		return byConnection, nil
	}
	list, args := in([]any{w.id}, connectionIDs)
	rows, err := all(ctx, w.db.read, "read how the connections do", scanHealth,
		`SELECT `+healthColumns+` FROM health WHERE workspace_id = $1 AND connection_id IN (`+list+`)`, args...)
	for _, h := range rows {
		byConnection[h.ConnectionID] = h
	}
	return byConnection, err
}

const resultColumns = `connection_id, at, result, latency_ms, message`

func scanResult(row scanner) (r HealthResult, err error) {
	return r, row.Scan(&r.ConnectionID, moment{&r.At}, &r.Result, &r.LatencyMs, &r.Message)
}

// RecentResults returns the last results of each of the connections, newest
// first, at most limit of each.
func (w *Workspace) RecentResults(ctx context.Context, connectionIDs []string, limit int) (map[string][]HealthResult, error) {
	byConnection := make(map[string][]HealthResult, len(connectionIDs))
	for _, id := range connectionIDs {
		// One short walk down the key for each: a window over the week's results
		// of all of them would read every one.
		results, err := all(ctx, w.db.read, "list the pings", scanResult, `
			SELECT `+resultColumns+` FROM health_results WHERE workspace_id = $1 AND connection_id = $2 ORDER BY at DESC LIMIT $3`, w.id, id, limit)
		if err != nil {
			return nil, err
		}
		if len(results) > 0 {
			byConnection[id] = results
		}
	}
	return byConnection, nil
}

// CountResults counts a connection's results since a time by what they found.
func (w *Workspace) CountResults(ctx context.Context, connectionID string, since time.Time) (map[string]int, error) {
	type line struct {
		result string
		n      int
	}
	lines, err := all(ctx, w.db.read, "count the pings", func(row scanner) (l line, err error) { return l, row.Scan(&l.result, &l.n) }, `
		SELECT result, count(*) FROM health_results WHERE workspace_id = $1 AND connection_id = $2 AND at >= $3 GROUP BY result`,
		w.id, connectionID, toMicros(since))
	counts := make(map[string]int, len(lines))
	for _, l := range lines {
		counts[l.result] = l.n
	}
	return counts, err
}

// HealthChanges lists a connection's changes of state, newest first.
func (w *Workspace) HealthChanges(ctx context.Context, connectionID string, limit int) ([]HealthChange, error) {
	return all(ctx, w.db.read, "list the changes of state", func(row scanner) (c HealthChange, err error) {
		var differences string
		err = row.Scan(&c.ID, &c.ConnectionID, moment{&c.At}, &c.Was, &c.State, &c.Message, &differences)
		c.Differences = []byte(differences)
		return c, err
	}, `SELECT id, connection_id, at, was, state, message, differences FROM health_changes
		WHERE workspace_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT $3`, w.id, connectionID, limit)
}

// Settled is what becomes of a connection by a ping.
type Settled struct {
	Lease  string
	Was    time.Time // NextAt as it was claimed: what was scheduled meanwhile stays
	Health Health
	// Result, Change and Notices are written with it, where there are any.
	Result  *HealthResult
	Change  *HealthChange
	Notices []Notice
}

// SettleHealth writes down what a ping found and ends its lease. It reports
// false, and writes nothing, where the lease was lost, or the connection is gone.
func (w *Workspace) SettleHealth(ctx context.Context, s Settled) (settled bool, err error) {
	err = w.Together(ctx, func(ctx context.Context, w *Workspace) error {
		settled, err = w.settleHealth(ctx, s)
		return err
	})
	return settled, err
}

func (w *Workspace) settleHealth(ctx context.Context, s Settled) (bool, error) {
	h := s.Health
	n, err := w.db.count(ctx, "write down a ping", `
		UPDATE health SET next_at = CASE WHEN next_at = $4 THEN $5 ELSE next_at END, lease = '', lease_until = 0,
			state = $6, since = $7, checked_at = $8, message = $9, memory = $10
		WHERE workspace_id = $1 AND connection_id = $2 AND lease = $3`,
		w.id, h.ConnectionID, s.Lease, toMicros(s.Was), orNull(h.NextAt), h.State, orNull(h.Since), orNull(h.CheckedAt), h.Message, string(h.Memory))
	if err != nil || n == 0 {
		return false, err
	}
	if r := s.Result; r != nil {
		if err := w.addResult(ctx, *r); err != nil {
			return false, err
		}
	}
	if c := s.Change; c != nil {
		if err := w.addHealthChange(ctx, *c); err != nil {
			return false, err
		}
	}
	for _, notice := range s.Notices {
		if err := w.AddNotice(ctx, notice); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (w *Workspace) addResult(ctx context.Context, r HealthResult) error {
	if err := w.db.exec(ctx, "record the ping", `
		INSERT INTO health_results (`+resultColumns+`, workspace_id) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (connection_id, at) DO NOTHING`,
		r.ConnectionID, toMicros(r.At), r.Result, r.LatencyMs, r.Message, w.id); err != nil {
		return err
	}
	return w.db.exec(ctx, "drop old pings", `
		DELETE FROM health_results WHERE workspace_id = $1 AND connection_id = $2 AND at < $3`, w.id, r.ConnectionID, toMicros(r.At.Add(-ResultsKept)))
}

func (w *Workspace) addHealthChange(ctx context.Context, c HealthChange) error {
	if err := w.db.exec(ctx, "record the change of state", `
		INSERT INTO health_changes (id, workspace_id, connection_id, at, was, state, message, differences) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, w.id, c.ConnectionID, toMicros(c.At), c.Was, c.State, c.Message, string(c.Differences)); err != nil {
		return err
	}
	return w.db.exec(ctx, "drop old changes of state", `
		DELETE FROM health_changes WHERE workspace_id = $1 AND connection_id = $2 AND id <= (
			SELECT id FROM health_changes WHERE workspace_id = $1 AND connection_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)`,
		w.id, c.ConnectionID, HealthChangesKept)
}

// ClaimedHealth is a connection that the claimer, and nobody else, pings until
// its lease ends.
type ClaimedHealth struct {
	WorkspaceID string
	Lease       string
	Health
}

// Claim says who claims, and until when what is claimed is theirs.
type Claim struct {
	Lease  string // unlike any other
	Now    time.Time
	Until  time.Time
	Limit  int
	Run    Run   // of the relay that claims
	Others []Run // other relays that live
}

// ClaimHealth claims connections whose ping is due, those first that have waited
// longest. What an agent of another relay reaches, and none of this one, is left
// to that.
func (s *Store) ClaimHealth(ctx context.Context, c Claim) ([]ClaimedHealth, error) {
	if due, err := s.due(ctx, "health", c.Now); err != nil || !due {
		return nil, err
	}
	args := []any{c.Lease, toMicros(c.Until), toMicros(c.Now), c.Limit}
	reachable := ""
	if len(c.Others) > 0 {
		here := ` EXISTS (SELECT 1 FROM presence p WHERE p.workspace_id = c.workspace_id AND p.agent_id = c.agent_id AND p.online > 0 AND `
		mine, all := anyOf(args, []Run{c.Run})
		theirs, all := anyOf(all, c.Others)
		args = all
		reachable = ` AND (c.agent_id IS NULL OR` + here + `(` + mine + `)) OR NOT` + here + `(` + theirs + `)))`
	}
	return all(ctx, s.write, "find pings that are due", func(row scanner) (found ClaimedHealth, err error) {
		var memory string
		err = row.Scan(&found.WorkspaceID, &found.ConnectionID, optional{&found.NextAt}, &found.State, optional{&found.Since},
			optional{&found.CheckedAt}, &found.Message, &memory)
		found.Memory, found.Lease = []byte(memory), c.Lease
		return found, err
	}, `UPDATE health SET lease = $1, lease_until = $2 WHERE lease_until <= $3 AND connection_id IN (
			SELECT h.connection_id FROM health h JOIN connections c ON c.id = h.connection_id
			WHERE h.next_at <= $3 AND h.lease_until <= $3`+reachable+` ORDER BY h.next_at LIMIT $4`+s.skipLocked("h")+`)
		RETURNING workspace_id, `+healthColumns, args...)
}

// due reports whether a table has a row that can be claimed: mostly there is
// none, and then nobody who writes is kept waiting by having asked.
func (s *Store) due(ctx context.Context, table string, now time.Time) (bool, error) {
	n, err := one(ctx, s.read, "look for what is due", scanCount,
		`SELECT count(*) FROM (SELECT 1 FROM `+table+` WHERE next_at <= $1 AND lease_until <= $1 LIMIT 1) AS due`, toMicros(now))
	return n > 0, err
}

// skipLocked makes a query of rows that are about to be claimed pass over those
// that another relay claims in the same moment. SQLite has one writer at a time.
func (s *Store) skipLocked(table string) string {
	if s.engine == enginePostgres {
		return ` FOR UPDATE OF ` + table + ` SKIP LOCKED`
	}
	return ""
}

// ReleaseHealth gives back what was claimed and not pinged; it is due at the
// time.
func (s *Store) ReleaseHealth(ctx context.Context, c ClaimedHealth, at time.Time) error {
	return s.handle().exec(ctx, "give a ping back", `
		UPDATE health SET lease = '', lease_until = 0, next_at = $4 WHERE workspace_id = $1 AND connection_id = $2 AND lease = $3`,
		c.WorkspaceID, c.ConnectionID, c.Lease, toMicros(at))
}

// AdoptHealth schedules up to limit connections that never were, from the time
// on, with a pause between them, and says how many there were.
func (s *Store) AdoptHealth(ctx context.Context, from time.Time, pause time.Duration, limit int) (int, error) {
	n, err := s.handle().count(ctx, "schedule first pings", `
		INSERT INTO health (connection_id, workspace_id, next_at, lease, lease_until, state, message, memory)
		SELECT id, workspace_id, CAST($1 AS BIGINT) + CAST($2 AS BIGINT) * row_number() OVER (ORDER BY id), '', 0, 'unknown', '', ''
		FROM (SELECT c.id, c.workspace_id FROM connections c WHERE NOT EXISTS (SELECT 1 FROM health h WHERE h.connection_id = c.id)
			ORDER BY c.id LIMIT $3) AS unscheduled
		WHERE TRUE
		ON CONFLICT (connection_id) DO NOTHING`, toMicros(from), pause.Microseconds(), limit)
	return int(n), err
}

// CountHealth counts the connections of all workspaces by their state.
func (s *Store) CountHealth(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	_, err := all(ctx, s.read, "count the connections", func(row scanner) (struct{}, error) {
		var state string
		var n int
		err := row.Scan(&state, &n)
		counts[state] = n
		return struct{}{}, err
	}, `SELECT state, count(*) FROM health GROUP BY state`)
	return counts, err
}

// AuditOf lists what was done to a thing since a time, newest first, at most
// limit lines.
func (w *Workspace) AuditOf(ctx context.Context, objectID string, since time.Time, limit int) ([]Entry, error) {
	return all(ctx, w.db.read, "list what was done to it", scanEntry, `
		SELECT `+entryColumns+` FROM audit WHERE workspace_id = $1 AND object_id = $2 AND at > $3 ORDER BY id DESC LIMIT $4`,
		w.id, objectID, toMicros(since), limit)
}
