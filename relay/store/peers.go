package store

import (
	"context"
	"time"
)

// Holding is a Presence whose relay says that it runs, with what is on file of
// the instance, and where the other relays reach that relay.
type Holding struct {
	Presence
	PeerAddress string // "": it takes no requests of theirs
	Instance    Instance
}

// Holdings lists which instances of the given agents other relays than the
// named one say they hold, before a workspace is known, as a road is asked for by the
// agent alone. Whether those relays still live is for the caller to know.
func (s *Store) Holdings(ctx context.Context, agentIDs []string, exceptRelayID string) ([]Holding, error) {
	if len(agentIDs) == 0 {
		return nil, nil
	}
	agents, args := in([]any{exceptRelayID}, agentIDs)
	return all(ctx, s.read, "find relays that hold the agent", func(row scanner) (h Holding, err error) {
		var latency int64
		in := &h.Instance
		err = row.Scan(&h.RelayID, &h.Epoch, &h.Counter, &h.WorkspaceID, &h.AgentID, &h.InstanceID, moment{&h.ConnectedAt}, &latency, &h.PeerAddress,
			&in.Hostname, &in.OS, &in.Arch, &in.Version, optional{&in.LastSeenAt}, optional{&in.PausedSince}, optional{&in.PausedUntil}, &in.PauseReason)
		h.Online, h.Latency = true, time.Duration(latency)*time.Microsecond
		in.ID, in.WorkspaceID, in.AgentID, in.ConnectedAt = h.InstanceID, h.WorkspaceID, h.AgentID, h.ConnectedAt
		return h, err
	}, `SELECT p.relay_id, p.epoch, p.counter, p.workspace_id, p.agent_id, p.instance_id, p.connected_at, p.latency_us, r.peer_address,
			i.hostname, i.os, i.arch, i.agent_version, i.last_seen_at, i.paused_since, i.paused_until, i.pause_reason
		FROM agents a
		JOIN presence p ON p.workspace_id = a.workspace_id AND p.agent_id = a.id
		JOIN relays r ON r.id = p.relay_id AND r.epoch = p.epoch AND r.beat > 0
		JOIN instances i ON i.id = p.instance_id
		WHERE a.id IN (`+agents+`) AND p.online > 0 AND p.relay_id <> $1
		ORDER BY p.instance_id, p.relay_id`, args...)
}

// PeerAuthority is the sealed authority of the relays. ErrNotFound where no
// relay has made one.
func (s *Store) PeerAuthority(ctx context.Context) ([]byte, error) {
	return one(ctx, s.read, "read the authority of the relays", func(row scanner) (sealed []byte, err error) {
		return sealed, row.Scan(&sealed)
	}, `SELECT sealed FROM peer_authority WHERE id = 1`)
}

// KeepPeerAuthority stores the sealed authority unless there is one: of several
// relays that start at once, one is the first.
func (s *Store) KeepPeerAuthority(ctx context.Context, sealed []byte) error {
	return s.handle().exec(ctx, "keep the authority of the relays",
		`INSERT INTO peer_authority (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`, sealed)
}
