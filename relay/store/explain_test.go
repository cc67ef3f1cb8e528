package store

import (
	"slices"
	"testing"
	"time"
)

func TestHistoryIsExplainedOnceAndInItsPlace(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		in := addInstance(t, s, w, agent.ID)
		at := func(minutes int) time.Time {
			return noon.Add(time.Duration(minutes) * time.Minute).Truncate(time.Microsecond)
		}
		line := func(minutes int, online bool, reason string) {
			t.Helper()
			must(t, w.AddHistory(t.Context(), Event{ID: NewIDAt("evt", at(minutes)), AgentID: agent.ID, InstanceID: in.ID, Online: online, At: at(minutes), Reason: reason}))
		}
		explain := func(from, to int, cause, report string) {
			t.Helper()
			must(t, w.ExplainHistory(t.Context(), Event{ID: NewIDAt("evt", at(from)), AgentID: agent.ID, InstanceID: in.ID, Hostname: "plc7", At: at(from), Cause: cause, Detail: "in words"}, at(to), report))
		}
		line(0, true, "")
		line(10, false, "no sign of life")
		line(20, true, "")
		line(30, false, "the connection broke")
		line(31, true, "")
		line(60, true, "") // the relay was away meanwhile, and noticed nothing
		explain(9, 20, "crashed", "r1")
		explain(9, 20, "crashed", "r1") // once more
		explain(30, 31, "slept", "r2")
		explain(40, 60, "relay_unreachable", "r3")
		explain(40, 60, "relay_unreachable", "r3")

		events, _, err := w.History(t.Context(), agent.ID, Page{})
		must(t, err)
		var got []string
		for _, e := range events {
			sign := "+"
			if !e.Online {
				sign = "-"
			}
			got = append(got, sign+e.At.Sub(at(0)).String()+" "+e.Reason+" "+e.Cause)
			if e.Cause != "" && e.Detail != "in words" {
				t.Errorf("detail %q", e.Detail)
			}
		}
		want := []string{"+1h0m0s  ", "-40m0s  relay_unreachable", "+31m0s  ", "-30m0s the connection broke slept", "+20m0s  ", "-10m0s no sign of life crashed", "+0s  "}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
