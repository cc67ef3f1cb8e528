package registry

import (
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
)

// machine is an agent with one machine, by their ids.
func (s *site) machine(t *testing.T) (agentID, instanceID string) {
	t.Helper()
	agent := s.agent(t, "Plant 2")
	return agent.ID, s.enrol(t, agent.ID, "plc7").InstanceID
}

// TestPauseIsSeenAtEveryRelay: also at one that holds no tunnel of the agent.
func TestPauseIsSeenAtEveryRelay(t *testing.T) {
	pair(t, func(t *testing.T, a, b *site) {
		agent, id := a.machine(t)
		since := a.now.UTC().Truncate(time.Microsecond)
		in := hub.Instance{ID: id, Hostname: "plc7", ConnectedAt: a.now, LastSeenAt: a.now}
		said := func(p *proto.Paused, want Status) {
			t.Helper()
			in.Paused = p
			must(t, a.Connected(t.Context(), agent, in))
			a.online[agent] = []hub.Instance{in}
			for _, s := range []*site{a, b} {
				got, err := s.Agent(t.Context(), s.ada, agent)
				must(t, err)
				if got.Status != want {
					t.Errorf("%s says %s, want %s", s.RelayID, got.Status, want)
				}
				if q := got.Instances[0].Paused; p == nil != (q == nil) || p != nil && (!q.Since.Equal(p.Since) || q.Reason != p.Reason || !q.Until.Equal(p.Until)) {
					t.Errorf("%s says %+v, want %+v", s.RelayID, q, p)
				}
			}
		}
		said(nil, Online)
		said(&proto.Paused{Since: since, Reason: "month-end closing"}, Paused)
		said(&proto.Paused{Since: since, Until: since.Add(time.Hour)}, Paused)
		said(nil, Online)
		if got := b.past(t, agent); got != "+" {
			t.Errorf("the history is %s: a pause is no coming", got)
		}
	})
}

func TestAgentOfWhichOneMachineIsPausedIsOnline(t *testing.T) {
	s := newSite(t)
	agent, id := s.machine(t)
	one := hub.Instance{ID: id, ConnectedAt: s.now, LastSeenAt: s.now}
	s.online[agent] = []hub.Instance{one}
	s.wantStatus(t, agent, Online)
	one.Paused = &proto.Paused{Since: s.now}
	s.online[agent] = []hub.Instance{one}
	if got, err := s.Agent(t.Context(), s.ada, agent); err != nil || got.Status != Paused {
		t.Errorf("%s, %v", got.Status, err)
	}
}

func TestWhyAMachineWasOfflineIsInItsHistory(t *testing.T) {
	s := newSite(t)
	agent, id := s.machine(t)
	report := proto.OfflineReport{ID: "r1", From: s.now.Add(-time.Minute), To: s.now, Cause: proto.CauseRebooted, Detail: "in words"}
	must(t, s.Explained(t.Context(), agent, id, report))
	must(t, s.Explained(t.Context(), agent, "ins_gone", report))
	history, _, err := s.History(t.Context(), s.ada, agent, Page{})
	must(t, err)
	if len(history) != 1 || history[0].Cause != "rebooted" || history[0].Detail != "in words" || history[0].Online || history[0].InstanceID != id {
		t.Errorf("got %+v", history)
	}
}
