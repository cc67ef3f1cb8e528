package registry

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"sallyport/relay/peer"
	"sallyport/relay/vault"
)

func TestEachRelayKnowsWhoHoldsTheAgentAndWhere(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		a.PeerAddress = "10.0.0.11:8443"
		must(t, a.Begin(t.Context()))
		attend(t, a, b)
		agent, instance := a.machine(t)
		want := func(what string, silent bool, addresses ...string) {
			t.Helper()
			held, err := b.Holdings(t.Context(), []string{agent})
			must(t, err)
			known, err := b.Known(t.Context(), agent)
			must(t, err)
			if named := known.HeldBy == "rly_a"; named != (len(held) > 0 && !silent) || !named && known.HeldBy != "" {
				t.Errorf("%s: said to be held by %q", what, known.HeldBy)
			}
			if len(held) != len(addresses) {
				t.Fatalf("%s: %+v", what, held)
			}
			for i, h := range held {
				if h.Relay != (peer.Relay{ID: "rly_a", Epoch: a.roster.run.Epoch, Address: addresses[i]}) || h.Silent != silent ||
					h.AgentID != agent || h.Instance.ID != instance || h.Instance.Hostname != "plc7" {
					t.Errorf("%s: %+v", what, h)
				}
			}
		}
		if got := b.Peers(); len(got) != 1 || got[0].Address != "10.0.0.11:8443" {
			t.Errorf("others: %+v", got)
		}
		want("before it came", false)
		a.connect(t, agent, instance)
		want("while it is there", false, "10.0.0.11:8443")
		b.PeerAddress = "10.0.0.12:8443"
		if known, err := b.Known(t.Context(), agent); err != nil || known.HeldBy != "" {
			t.Errorf("a relay that can reach the other one: %+v, %v", known, err)
		}
		b.PeerAddress = ""
		if own, err := a.Holdings(t.Context(), []string{agent}); err != nil || len(own) != 0 {
			t.Errorf("of itself: %+v, %v", own, err)
		}
		pass(t, lapse+beatEvery, []*site{a, b}, b)
		want("its relay has fallen silent", true, "10.0.0.11:8443")
		attend(t, a, b)
		want("its relay speaks again", false, "10.0.0.11:8443")
		a.disconnect(t, agent, instance)
		want("it has left", false)
	})
}

func TestRelaysThatStartAtOnceShareOneAuthority(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		b.Vault = a.Vault // all relays have the same keyset
		got := make([]string, 8)
		var starting sync.WaitGroup
		for i := range got {
			at := []*site{a, b}[i%2]
			starting.Go(func() {
				kept, err := at.PeerAuthority(t.Context(), func() ([]byte, error) { return []byte{byte('a' + i)}, nil })
				if err != nil {
					t.Error(err)
				}
				got[i] = string(kept)
			})
		}
		starting.Wait()
		for _, one := range got {
			if one != got[0] || one == "" {
				t.Errorf("got %q", got)
			}
		}
		sealed, err := a.Store.PeerAuthority(t.Context())
		must(t, err)
		if string(sealed) == got[0] {
			t.Error("it is kept in clear text")
		}
		other, err := vault.Open(t.TempDir() + "/keyset.json")
		must(t, err)
		b.Vault = other
		if _, err := b.PeerAuthority(t.Context(), nil); !errors.Is(err, vault.ErrSealed) || !strings.Contains(err.Error(), "--keyset") {
			t.Errorf("with another keyset: %v", err)
		}
	})
}
