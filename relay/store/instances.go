package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Instance is a machine that is enrolled under an agent.
type Instance struct {
	ID          string
	WorkspaceID string
	AgentID     string
	PublicKey   []byte // Ed25519
	Hostname    string
	OS, Arch    string
	Version     string // of the agent's software
	EnrolledAt  time.Time
	ConnectedAt time.Time // zero: never
	LastSeenAt  time.Time // zero: never
	// PausedSince is when its site paused it, zero where it has not; PausedUntil
	// is when that ends, zero where somebody has to end it.
	PausedSince, PausedUntil time.Time
	PauseReason              string
}

const instanceColumns = `id, workspace_id, agent_id, public_key, hostname, os, arch, agent_version, enrolled_at, connected_at, last_seen_at, paused_since, paused_until, pause_reason`

func scanInstance(row scanner) (i Instance, err error) {
	err = row.Scan(&i.ID, &i.WorkspaceID, &i.AgentID, &i.PublicKey, &i.Hostname, &i.OS, &i.Arch, &i.Version,
		moment{&i.EnrolledAt}, optional{&i.ConnectedAt}, optional{&i.LastSeenAt}, optional{&i.PausedSince}, optional{&i.PausedUntil}, &i.PauseReason)
	return i, err
}

// Instances lists the machines of the given agents, oldest first, in one query.
func (w *Workspace) Instances(ctx context.Context, agentIDs []string) ([]Instance, error) {
	if len(agentIDs) == 0 {
		return nil, nil
	}
	list, args := in([]any{w.id}, agentIDs)
	return all(ctx, w.db.read, "list the instances", scanInstance,
		`SELECT `+instanceColumns+` FROM instances WHERE workspace_id = $1 AND agent_id IN (`+list+`) ORDER BY id`, args...)
}

// DeleteInstance revokes the enrolment of one machine.
func (w *Workspace) DeleteInstance(ctx context.Context, agentID, id string) error {
	return w.db.execOne(ctx, "remove the instance", `
		DELETE FROM instances WHERE workspace_id = $1 AND agent_id = $2 AND id = $3`, w.id, agentID, id)
}

// InstanceConnected records that a machine came online and what it said of
// itself. For other relays it does what InstanceSeen does.
func (w *Workspace) InstanceConnected(ctx context.Context, i Instance) error {
	return w.db.execOne(ctx, "record that the instance came online", `
		UPDATE instances SET hostname = $4, os = $5, arch = $6, agent_version = $7, connected_at = $8,
			last_seen_at = CASE WHEN last_seen_at > $9 THEN last_seen_at ELSE $9 END,
			paused_since = $10, paused_until = $11, pause_reason = $12
		WHERE workspace_id = $1 AND agent_id = $2 AND id = $3`,
		w.id, i.AgentID, i.ID, i.Hostname, i.OS, i.Arch, i.Version, toMicros(i.ConnectedAt), toMicros(i.LastSeenAt),
		optionalMicros(i.PausedSince), optionalMicros(i.PausedUntil), i.PauseReason)
}

// InstanceSeen records when a machine was last heard of; never backwards. In a
// transaction it also keeps other relays from recording anything of the same
// machine until that ends.
func (w *Workspace) InstanceSeen(ctx context.Context, agentID, id string, at time.Time) error {
	return w.db.exec(ctx, "record when the instance was last seen", `
		UPDATE instances SET last_seen_at = CASE WHEN last_seen_at > $4 THEN last_seen_at ELSE $4 END
		WHERE workspace_id = $1 AND agent_id = $2 AND id = $3`,
		w.id, agentID, id, toMicros(at))
}

// seenAtOnce is how many machines one statement marks as seen: a write that is
// short enough to let others in between.
const seenAtOnce = 500

// InstancesSeen records for many machines at once when they were last heard
// of; never backwards. Those that were removed meanwhile are passed over.
func (w *Workspace) InstancesSeen(ctx context.Context, ids []string, at time.Time) error {
	for some := range slices.Chunk(ids, seenAtOnce) {
		list, args := in([]any{w.id, toMicros(at)}, some)
		if err := w.db.exec(ctx, "record when the instances were last seen", `
			UPDATE instances SET last_seen_at = $2
			WHERE workspace_id = $1 AND (last_seen_at IS NULL OR last_seen_at < $2) AND id IN (`+list+`)`, args...); err != nil {
			return err
		}
	}
	return nil
}

// InstancesAbsent are those of many machines that are not enrolled, or not any more.
func (w *Workspace) InstancesAbsent(ctx context.Context, ids []string) ([]string, error) {
	enrolled := make(map[string]bool, len(ids))
	for some := range slices.Chunk(ids, seenAtOnce) {
		list, args := in([]any{w.id}, some)
		found, err := all(ctx, w.db.read, "find whose enrolment has ended", func(row scanner) (id string, err error) {
			return id, row.Scan(&id)
		}, `SELECT id FROM instances WHERE workspace_id = $1 AND id IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			enrolled[id] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return enrolled[id] }), nil
}

// AgentSeen finds an agent's name, and when any of its machines was last
// seen, before its workspace is known. ErrNotFound where it has no machine.
func (s *Store) AgentSeen(ctx context.Context, agentID string) (name string, lastSeen time.Time, err error) {
	type found struct {
		name string
		seen time.Time
	}
	f, err := one(ctx, s.read, "find when the agent was last seen", func(row scanner) (f found, err error) {
		return f, row.Scan(&f.name, optional{&f.seen})
	}, `SELECT a.name, MAX(i.last_seen_at)
		FROM agents a JOIN instances i ON i.workspace_id = a.workspace_id AND i.agent_id = a.id
		WHERE a.id = $1 GROUP BY a.id, a.name`, agentID)
	return f.name, f.seen, err
}

// InstanceByID finds a machine before its workspace is known: a handshake
// names the agent and the instance only.
func (s *Store) InstanceByID(ctx context.Context, agentID, id string) (Instance, string, error) {
	type found struct {
		Instance
		agentName string
	}
	f, err := one(ctx, s.read, "find the instance", func(row scanner) (f found, err error) {
		i := &f.Instance
		err = row.Scan(&i.ID, &i.WorkspaceID, &i.AgentID, &i.PublicKey, &i.Hostname, &i.OS, &i.Arch, &i.Version,
			moment{&i.EnrolledAt}, optional{&i.ConnectedAt}, optional{&i.LastSeenAt}, &f.agentName)
		return f, err
	}, `SELECT i.id, i.workspace_id, i.agent_id, i.public_key, i.hostname, i.os, i.arch, i.agent_version,
			i.enrolled_at, i.connected_at, i.last_seen_at, a.name
		FROM instances i JOIN agents a ON a.workspace_id = i.workspace_id AND a.id = i.agent_id
		WHERE i.agent_id = $1 AND i.id = $2`, agentID, id)
	return f.Instance, f.agentName, err
}

// EnrolmentCode is a one-time code, without its secret.
type EnrolmentCode struct {
	WorkspaceID string
	AgentID     string
	CreatedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      time.Time // zero: not yet
	UsedBy      string    // the instance that it made
}

// CreateEnrolmentCode adds a code by its hash, and removes codes that nobody
// can use any more.
func (w *Workspace) CreateEnrolmentCode(ctx context.Context, c EnrolmentCode, hash []byte) error {
	return w.Atomically(ctx, func(w *Workspace) error {
		// A week's grace, in which "expired" and "used" can be told from "unknown".
		if err := w.db.exec(ctx, "remove expired enrolment codes", `
			DELETE FROM enrolment_codes WHERE workspace_id = $1 AND expires_at < $2`,
			w.id, toMicros(c.CreatedAt.Add(-7*24*time.Hour))); err != nil {
			return err
		}
		return w.db.exec(ctx, "add the enrolment code", `
			INSERT INTO enrolment_codes (hash, workspace_id, agent_id, created_by, created_at, expires_at, used_by)
			VALUES ($1, $2, $3, $4, $5, $6, '')`,
			hash, w.id, c.AgentID, c.CreatedBy, toMicros(c.CreatedAt), toMicros(c.ExpiresAt))
	})
}

// Enrol uses a code up and adds the instance that it was for, both or neither.
// Of several callers with the same code exactly one succeeds; the others get
// ErrUsed. The code is returned also with ErrUsed and ErrExpired. The
// instance's workspace and agent are those of the code. record writes down, in
// the same transaction, what has happened.
func (s *Store) Enrol(ctx context.Context, hash []byte, i Instance, record func(*Workspace, Agent, EnrolmentCode) error) (Agent, EnrolmentCode, error) {
	var (
		agent Agent
		code  EnrolmentCode
	)
	now := toMicros(i.EnrolledAt)
	err := s.handle().atomically(ctx, func(h handle) error {
		n, err := h.count(ctx, "use the enrolment code", `
			UPDATE enrolment_codes SET used_at = $2, used_by = $3 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`,
			hash, now, i.ID)
		if err != nil {
			return err
		}
		code, err = one(ctx, h.read, "find the enrolment code", func(row scanner) (c EnrolmentCode, err error) {
			return c, row.Scan(&c.WorkspaceID, &c.AgentID, &c.CreatedBy, moment{&c.CreatedAt}, moment{&c.ExpiresAt}, optional{&c.UsedAt}, &c.UsedBy)
		}, `SELECT workspace_id, agent_id, created_by, created_at, expires_at, used_at, used_by FROM enrolment_codes WHERE hash = $1`, hash)
		switch {
		case err != nil:
			return err
		case n == 0 && !code.UsedAt.IsZero():
			return fmt.Errorf("enrolment code: %w", ErrUsed)
		case n == 0:
			return fmt.Errorf("enrolment code: %w", ErrExpired)
		}
		if err := h.exec(ctx, "add the instance", `
			INSERT INTO instances (id, workspace_id, agent_id, public_key, hostname, os, arch, agent_version, enrolled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			i.ID, code.WorkspaceID, code.AgentID, i.PublicKey, i.Hostname, i.OS, i.Arch, i.Version, now); err != nil {
			return err
		}
		w := &Workspace{id: code.WorkspaceID, db: h, store: s}
		if agent, err = w.Agent(ctx, code.AgentID); err != nil {
			return err
		}
		return record(w, agent, code)
	})
	return agent, code, err
}
