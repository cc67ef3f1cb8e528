package store

import (
	"errors"
	"testing"
	"time"
)

func TestHoldingsTellWhoReachesTheAgent(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, w := t.Context(), home(s)
		agent, other := addAgent(t, w, "Plant 2"), addAgent(t, w, "Plant 3")
		in := addInstance(t, s, w, agent.ID)
		addInstance(t, s, w, other.ID)
		old, err := s.BeginRun(ctx, "rly_a", "10.0.0.11:8443")
		must(t, err)
		hold := func(run Run, online bool, counter int64) {
			t.Helper()
			_, err := w.SetPresence(ctx, Presence{Run: run, Counter: counter, AgentID: agent.ID, InstanceID: in.ID, Online: online,
				ConnectedAt: s.Now(), Latency: 3 * time.Millisecond})
			must(t, err)
		}
		want := func(what, except string, addresses ...string) {
			t.Helper()
			got, err := s.Holdings(ctx, []string{agent.ID, other.ID}, except)
			must(t, err)
			if len(got) != len(addresses) {
				t.Fatalf("%s: %+v", what, got)
			}
			for i, h := range got {
				if h.PeerAddress != addresses[i] || h.AgentID != agent.ID || h.Instance.ID != in.ID || h.WorkspaceID != w.ID() || h.Latency != 3*time.Millisecond {
					t.Errorf("%s: %+v", what, h)
				}
			}
		}
		want("before it connected", "rly_b")
		hold(old, true, 1)
		want("held by another", "rly_b", "10.0.0.11:8443")
		want("held by oneself", "rly_a")
		run, err := s.BeginRun(ctx, "rly_a", "10.0.0.11:9443")
		must(t, err)
		want("held by an earlier run", "rly_b")
		hold(run, true, 1)
		want("held by the next one, elsewhere", "rly_b", "10.0.0.11:9443")
		hold(old, true, 7) // a late word
		want("a late word of the old run", "rly_b", "10.0.0.11:9443")
		must(t, s.EndRun(ctx, run))
		want("its relay has stopped", "rly_b")
	})
}

func TestOneAuthorityIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		if _, err := s.PeerAuthority(ctx); !errors.Is(err, ErrNotFound) {
			t.Fatalf("before there is one: %v", err)
		}
		must(t, s.KeepPeerAuthority(ctx, []byte("first")))
		must(t, s.KeepPeerAuthority(ctx, []byte("second")))
		got, err := s.PeerAuthority(ctx)
		must(t, err)
		if string(got) != "first" {
			t.Errorf("kept %q", got)
		}
		if sealed, err := s.HasSealed(ctx); err != nil || !sealed {
			t.Errorf("a new keyset would not open it: %v, %v", sealed, err)
		}
	})
}
