package registry

import (
	"context"
	"errors"
	"fmt"

	"sallyport/relay/hub"
	"sallyport/relay/peer"
	"sallyport/relay/store"
)

var _ peer.Roll = (*Registry)(nil)

// Peers implements peer.Roll.
func (r *Registry) Peers() []peer.Relay {
	r.roster.mu.Lock()
	defer r.roster.mu.Unlock()
	peers := make([]peer.Relay, len(r.roster.others))
	for i, run := range r.roster.others {
		peers[i] = peer.Relay{ID: run.RelayID, Epoch: run.Epoch, Address: r.roster.addresses[run]}
	}
	return peers
}

// silent reports whether a run was heard of and then no more. One that was not
// heard of yet has just begun.
func (r *roster) silent(run store.Run) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, heard := r.heard[run]; !heard {
		return false
	}
	_, living := r.addresses[run]
	return !living
}

// Holdings implements peer.Roll.
func (r *Registry) Holdings(ctx context.Context, agentIDs []string) ([]peer.Holding, error) {
	rows, err := r.Store.Holdings(ctx, agentIDs, r.RelayID)
	if err != nil {
		return nil, err
	}
	held := make([]peer.Holding, 0, len(rows))
	for _, row := range rows {
		in := row.Instance
		held = append(held, peer.Holding{
			Relay:   peer.Relay{ID: row.RelayID, Epoch: row.Epoch, Address: row.PeerAddress},
			AgentID: row.AgentID, Counter: row.Counter, Silent: r.roster.silent(row.Run),
			Instance: hub.Instance{ID: in.ID, Hostname: in.Hostname, OS: in.OS, Arch: in.Arch, Version: in.Version,
				ConnectedAt: row.ConnectedAt, LastSeenAt: in.LastSeenAt, Latency: row.Latency, Paused: pauseOf(in)},
		})
	}
	return held, nil
}

// holder is another relay that lives and says that it holds the agent; "": none.
func (r *Registry) holder(ctx context.Context, agentID string) (string, error) {
	held, err := r.Holdings(ctx, []string{agentID})
	for _, h := range held {
		if !h.Silent {
			return h.Relay.ID, err
		}
	}
	return "", err
}

// peerAuthorityRow is the associated data of the relays' sealed authority.
const peerAuthorityRow = "peer_authority/1"

// PeerAuthority implements peer.Roll.
func (r *Registry) PeerAuthority(ctx context.Context, fresh func() ([]byte, error)) ([]byte, error) {
	sealed, err := r.Store.PeerAuthority(ctx)
	if errors.Is(err, store.ErrNotFound) {
		plain, err := fresh()
		if err != nil {
			return nil, err
		}
		if sealed, err = r.Vault.Seal(plain, peerAuthorityRow); err != nil {
			return nil, err
		}
		if err := r.Store.KeepPeerAuthority(ctx, sealed); err != nil {
			return nil, err
		}
		// Another relay may have been first: what is stored holds.
		if sealed, err = r.Store.PeerAuthority(ctx); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	plain, err := r.Vault.Open(sealed, peerAuthorityRow)
	if err != nil {
		return nil, fmt.Errorf("the authority by which relays know each other was sealed with another keyset: give all relays that share the database the same --keyset: %w", err)
	}
	return plain, nil
}
