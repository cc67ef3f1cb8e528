package registry

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/relay/hub"
	"sallyport/relay/store"
)

// pair is two relays that share one store.
func pair(t *testing.T, test func(t *testing.T, a, b *site)) {
	for engine, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "relay.db") },
		"postgres": func(t *testing.T) string { return testkit.Postgres(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			dsn := dsn(t)
			a, b := siteAt(t, dsn), siteAt(t, dsn)
			a.RelayID, a.roster.run.RelayID = "rly_a", "rly_a"
			b.RelayID, b.roster.run.RelayID = "rly_b", "rly_b"
			must(t, a.Begin(t.Context()))
			must(t, b.Begin(t.Context()))
			attend(t, a, b)
			test(t, a, b)
		})
	}
}

// attend lets the relays notice each other.
func attend(t *testing.T, sites ...*site) {
	t.Helper()
	for _, s := range sites {
		must(t, s.attendOnce(t.Context()))
	}
}

// pass lets time go by on all relays, and those that live beat.
func pass(t *testing.T, d time.Duration, all []*site, living ...*site) {
	t.Helper()
	for ; d > 0; d -= beatEvery {
		for _, s := range all {
			s.now = s.now.Add(beatEvery)
		}
		attend(t, living...)
	}
}

func (s *site) connect(t *testing.T, agentID, instanceID string) {
	t.Helper()
	in := hub.Instance{ID: instanceID, Hostname: "plc7", OS: "linux", Arch: "amd64", Version: "1.0", ConnectedAt: s.now, LastSeenAt: s.now, Latency: 34 * time.Millisecond}
	must(t, s.Connected(t.Context(), agentID, in))
	s.online[agentID] = []hub.Instance{in}
}

func (s *site) disconnect(t *testing.T, agentID, instanceID string) {
	t.Helper()
	delete(s.online, agentID)
	must(t, s.Disconnected(t.Context(), agentID, instanceID, s.now, "the relay was stopped"))
}

func (s *site) wantStatus(t *testing.T, agentID string, want Status) {
	t.Helper()
	got, err := s.Agent(t.Context(), s.ada, agentID)
	must(t, err)
	if got.Status != want || got.Instances[0].Online != (want == Online) {
		t.Errorf("%s says %s, %+v; want %s", s.RelayID, got.Status, got.Instances, want)
	}
}

// past is the history of an agent, oldest first, as + and -.
func (s *site) past(t *testing.T, agentID string) (signs string) {
	t.Helper()
	lines, _, err := s.History(t.Context(), s.ada, agentID, Page{})
	must(t, err)
	for _, line := range lines {
		if line.Online {
			signs = "+" + signs
		} else {
			signs = "-" + signs
		}
	}
	return signs
}

func TestEitherRelayKnowsWhoIsConnectedToTheOther(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		agent := a.agent(t, "Plant 2")
		in := a.enrol(t, agent.ID, "plc7").InstanceID
		want := func(status Status) {
			t.Helper()
			a.wantStatus(t, agent.ID, status)
			b.wantStatus(t, agent.ID, status)
		}
		if a.Relays() != 2 || b.Relays() != 2 {
			t.Errorf("%d and %d relays", a.Relays(), b.Relays())
		}
		want(NeverConnected)
		a.connect(t, agent.ID, in)
		want(Online)
		got, err := b.Agent(t.Context(), b.ada, agent.ID)
		must(t, err)
		if there := got.Instances[0]; there.Latency != 34*time.Millisecond || !there.ConnectedAt.Equal(a.now) {
			t.Errorf("B says %+v", there)
		}
		// It moves from A to B: was never away.
		b.connect(t, agent.ID, in)
		a.disconnect(t, agent.ID, in)
		want(Online)
		if past := a.past(t, agent.ID); past != "+" {
			t.Errorf("history %s", past)
		}
		b.disconnect(t, agent.ID, in)
		want(Offline)
		if past := b.past(t, agent.ID); past != "+-" {
			t.Errorf("history %s", past)
		}
	})
}

// TestALateGoodbyeDoesNotTakeAnAgentOffline: A's word that the agent left is
// held up, while the agent is at B and comes back to A.
func TestALateGoodbyeDoesNotTakeAnAgentOffline(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		agent := a.agent(t, "Plant 2")
		in := a.enrol(t, agent.ID, "plc7").InstanceID
		a.connect(t, agent.ID, in)
		late := a.roster.counter.Add(1) // A's goodbye is made here, and written below
		a.connect(t, agent.ID, in)
		w := a.workspace(a.ada)
		fresh, err := a.say(t.Context(), w, store.Presence{Counter: late, AgentID: agent.ID, InstanceID: in, ConnectedAt: a.now})
		must(t, err)
		if fresh {
			t.Error("a word that was held up is taken for news")
		}
		b.wantStatus(t, agent.ID, Online)
		// So is that of a run which has ended.
		must(t, b.Begin(t.Context()))
		old := b.roster.run
		old.Epoch--
		b.connect(t, agent.ID, in)
		fresh, err = w.SetPresence(t.Context(), store.Presence{Run: old, Counter: 1 << 40, AgentID: agent.ID, InstanceID: in, ConnectedAt: a.now})
		must(t, err)
		if fresh {
			t.Error("a run that has ended is believed")
		}
		attend(t, a)
		a.disconnect(t, agent.ID, in)
		a.wantStatus(t, agent.ID, Online)
	})
}

func TestWhatAKilledRelayHeldDoesNotStayOnline(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		both := []*site{a, b}
		agent := a.agent(t, "Plant 2")
		in := a.enrol(t, agent.ID, "plc7").InstanceID
		a.connect(t, agent.ID, in)
		pass(t, 3*lapse, both, a, b)
		b.wantStatus(t, agent.ID, Online)
		left := a.now
		pass(t, 2*lapse, both, b) // A was killed
		b.wantStatus(t, agent.ID, Offline)
		if b.Relays() != 1 {
			t.Errorf("%d relays", b.Relays())
		}
		if past := b.past(t, agent.ID); past != "+-" {
			t.Errorf("history %s", past)
		}
		lines, _, err := b.History(t.Context(), b.ada, agent.ID, Page{})
		must(t, err)
		if lines[0].At.After(left) || lines[0].Reason != "the relay that held its tunnels has gone" {
			t.Errorf("got %+v", lines[0])
		}
		// A had only lost the database: what it holds counts again.
		attend(t, a, b)
		b.wantStatus(t, agent.ID, Online)
	})
}

func TestARelayThatStartsAgainForgetsWhatItHeld(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		agent := a.agent(t, "Plant 2")
		in := a.enrol(t, agent.ID, "plc7").InstanceID
		a.connect(t, agent.ID, in)
		delete(a.online, agent.ID)
		must(t, a.Begin(t.Context())) // killed, and started again at once
		attend(t, b, a)
		a.wantStatus(t, agent.ID, Offline)
		b.wantStatus(t, agent.ID, Offline)
		if past := a.past(t, agent.ID); past != "+-" {
			t.Errorf("history %s", past)
		}
		must(t, a.Leave(t.Context()))
		attend(t, b)
		if b.Relays() != 1 {
			t.Errorf("%d relays, after one stopped in order", b.Relays())
		}
	})
}

// TestClocksOfRelaysMayDiffer: beats are told by their growing, not by times.
func TestClocksOfRelaysMayDiffer(t *testing.T) {
	r := roster{run: store.Run{RelayID: "rly_a", Epoch: 1}}
	other := store.Run{RelayID: "rly_b", Epoch: 7}
	now := time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC)
	number := int64(0)
	for i, c := range []struct {
		after  time.Duration
		beats  bool
		living int
	}{
		{0, true, 1}, {lapse - 1, false, 1}, {1, false, 0}, {time.Second, true, 1},
		{-time.Hour, false, 1}, {lapse, false, 0}, {24 * time.Hour, true, 1},
	} {
		now = now.Add(c.after)
		if c.beats {
			number++
		}
		r.hear([]store.Beat{{Run: r.run, Number: 3}, {Run: other, Number: number}}, now)
		if got := r.elsewhere(); len(got) != c.living {
			t.Errorf("%d: %v", i, got)
		}
	}
	r.hear([]store.Beat{{Run: other, Number: 0}}, now)
	if got := fmt.Sprint(r.elsewhere()); got != "[]" {
		t.Errorf("stopped in order, and still there: %s", got)
	}
}
