package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// claimAt claims what is due at the time, for an hour.
func claimAt(t *testing.T, s *Store, at time.Time, more ...func(*Claim)) []ClaimedHealth {
	t.Helper()
	c := Claim{Lease: NewID("lea"), Now: at, Until: at.Add(time.Hour), Limit: 100}
	for _, change := range more {
		change(&c)
	}
	claimed, err := s.ClaimHealth(t.Context(), c)
	must(t, err)
	return claimed
}

func claimedIDs(claimed []ClaimedHealth) (ids []string) {
	for _, c := range claimed {
		ids = append(ids, c.ConnectionID)
	}
	slices.Sort(ids)
	return ids
}

func TestAPingThatIsDueIsClaimedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		var ids []string
		for i := range 40 {
			c := addConnection(t, w, fmt.Sprint(i), "")
			must(t, w.ScheduleHealth(t.Context(), c.ID, noon.Add(time.Duration(i)*time.Second)))
			ids = append(ids, c.ID)
		}
		if early := claimAt(t, s, noon.Add(-time.Second)); len(early) > 0 {
			t.Errorf("claimed %d before their time", len(early))
		}
		var mu sync.Mutex
		var claimed []ClaimedHealth
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					got, err := s.ClaimHealth(t.Context(), Claim{Lease: NewID("lea"), Now: noon.Add(time.Minute), Until: noon.Add(time.Hour), Limit: 3})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					claimed = append(claimed, got...)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if got := claimedIDs(claimed); !slices.Equal(got, ids) {
			t.Errorf("claimed %d, want each of %d once", len(got), len(ids))
		}
		// Whoever claimed them and died loses them when the lease ends.
		if again := claimAt(t, s, noon.Add(time.Hour)); len(again) != len(ids) {
			t.Errorf("%d after the lease", len(again))
		}
		settled, err := w.SettleHealth(t.Context(), Settled{Lease: claimed[0].Lease, Was: claimed[0].NextAt, Health: Health{ConnectionID: claimed[0].ConnectionID, State: "online"}})
		if err != nil || settled {
			t.Errorf("settled with a lease that was lost: %v, %v", settled, err)
		}
	})
}

func TestWhatAPingFindsIsKeptForAWeekWithItsChangeAndNotices(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		c, other := addConnection(t, w, "ERP", ""), addConnection(t, w, "Other", "")
		must(t, w.ScheduleHealth(t.Context(), c.ID, noon))
		must(t, w.ScheduleHealth(t.Context(), other.ID, noon.Add(100*24*time.Hour)))
		at := noon
		for i := range 10 {
			claimed := claimAt(t, s, at)
			if len(claimed) != 1 {
				t.Fatalf("claimed %d", len(claimed))
			}
			result := "online"
			if i%3 == 0 {
				result = "failing"
			}
			settled, err := w.SettleHealth(t.Context(), Settled{Lease: claimed[0].Lease, Was: claimed[0].NextAt,
				Health:  Health{ConnectionID: c.ID, NextAt: at.Add(24 * time.Hour), State: result, Since: at, CheckedAt: at, Message: "m", Memory: []byte(`{"refused":1}`)},
				Result:  &HealthResult{ConnectionID: c.ID, At: at, Result: result, LatencyMs: 1.5, Message: "m"},
				Change:  &HealthChange{ID: NewID("chg"), ConnectionID: c.ID, At: at, Was: "online", State: result, Differences: []byte("[]")},
				Notices: []Notice{{ID: NewID("ntc"), ConnectionID: c.ID, At: at, Kind: "email", Recipient: "ada@example.com", Body: []byte("{}"), NextAt: at}}})
			if err != nil || !settled {
				t.Fatalf("settled %v, %v", settled, err)
			}
			at = at.Add(24 * time.Hour)
		}
		stored := at.Add(-24 * time.Hour).UTC().Truncate(time.Microsecond)
		healths, err := w.Healths(t.Context(), []string{c.ID, other.ID, "con_none"})
		must(t, err)
		if h := healths[c.ID]; h.State != "failing" || !h.Since.Equal(stored) || !h.CheckedAt.Equal(stored) || !h.NextAt.Equal(stored.Add(24*time.Hour)) || string(h.Memory) != `{"refused":1}` {
			t.Errorf("got %+v", h)
		}
		if len(healths) != 2 || healths[other.ID].State != "unknown" || !healths[other.ID].CheckedAt.IsZero() {
			t.Errorf("got %+v", healths)
		}
		if n := rowCount(t, s, "health_results"); n != 8 { // the ninth day back is gone
			t.Errorf("%d results are kept", n)
		}
		counts, err := w.CountResults(t.Context(), c.ID, stored.Add(-3*24*time.Hour))
		must(t, err)
		if counts["online"] != 2 || counts["failing"] != 2 {
			t.Errorf("counted %v", counts)
		}
		recent, err := w.RecentResults(t.Context(), []string{c.ID, other.ID}, 2)
		must(t, err)
		if len(recent) != 1 || len(recent[c.ID]) != 2 || !recent[c.ID][0].At.Equal(stored) || recent[c.ID][0].LatencyMs != 1.5 {
			t.Errorf("got %+v", recent)
		}
		changes, err := w.HealthChanges(t.Context(), c.ID, 3)
		must(t, err)
		if len(changes) != 3 || !changes[0].At.Equal(stored) || changes[0].State != "failing" {
			t.Errorf("got %+v", changes)
		}
		byState, err := s.CountHealth(t.Context())
		must(t, err)
		if byState["failing"] != 1 || byState["unknown"] != 1 {
			t.Errorf("got %v", byState)
		}
		must(t, w.DeleteConnection(t.Context(), c.ID, 0))
		for table, want := range map[string]int{"health": 1, "health_results": 0, "health_changes": 0, "notices": 0} {
			if n := rowCount(t, s, table); n != want {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

func TestWhatIsScheduledDuringAPingStays(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		c := addConnection(t, w, "ERP", "")
		must(t, w.ScheduleHealth(t.Context(), c.ID, noon))
		must(t, w.ScheduleHealth(t.Context(), c.ID, noon.Add(time.Hour))) // later than what is due: no news
		claimed := claimAt(t, s, noon)
		must(t, w.ScheduleHealth(t.Context(), c.ID, noon.Add(-time.Minute)))
		settle := func(lease string, was, next time.Time) {
			t.Helper()
			if settled, err := w.SettleHealth(t.Context(), Settled{Lease: lease, Was: was, Health: Health{ConnectionID: c.ID, NextAt: next, State: "online"}}); err != nil || !settled {
				t.Fatalf("%v, %v", settled, err)
			}
		}
		settle(claimed[0].Lease, claimed[0].NextAt, noon.Add(5*time.Minute))
		claimed = claimAt(t, s, noon)
		if len(claimed) != 1 {
			t.Fatalf("claimed %d", len(claimed))
		}
		settle(claimed[0].Lease, claimed[0].NextAt, time.Time{}) // switched off
		if got := claimAt(t, s, noon.Add(1000*time.Hour)); len(got) > 0 {
			t.Errorf("claimed %+v", got)
		}
		must(t, w.ScheduleHealth(t.Context(), c.ID, noon)) // changed by somebody
		if got := claimAt(t, s, noon); len(got) != 1 {
			t.Errorf("claimed %d", len(got))
		}
	})
}

func TestConnectionsOfBeforeAreAdoptedOneAfterTheOther(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		for i := range 5 {
			addConnection(t, w, fmt.Sprint(i), "")
		}
		n, err := s.AdoptHealth(t.Context(), noon, time.Second, 3)
		must(t, err)
		m, err := s.AdoptHealth(t.Context(), noon.Add(3*time.Second), time.Second, 3)
		must(t, err)
		if n != 3 || m != 2 {
			t.Fatalf("adopted %d and %d", n, m)
		}
		for seconds := range 5 {
			if got := claimAt(t, s, noon.Add(time.Duration(seconds+1)*time.Second)); len(got) != 1 {
				t.Errorf("%d due after %d s", len(got), seconds+1)
			}
		}
	})
}

func TestAPingIsLeftToTheRelayThatReachesItsAgent(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		mine, theirs := Run{RelayID: "rly_a", Epoch: 1}, Run{RelayID: "rly_b", Epoch: 1}
		ids := map[string]string{}
		for name, run := range map[string]Run{"here": mine, "there": theirs, "nowhere": {}} {
			agent := addAgent(t, w, name)
			if run.RelayID != "" {
				in := addInstance(t, s, w, agent.ID)
				_, err := w.SetPresence(t.Context(), Presence{Run: run, Counter: 1, AgentID: agent.ID, InstanceID: in.ID, Online: true, ConnectedAt: noon})
				must(t, err)
			}
			c := addConnection(t, w, name, agent.ID)
			must(t, w.ScheduleHealth(t.Context(), c.ID, noon))
			ids[name] = c.ID
		}
		cloud := addConnection(t, w, "cloud", "")
		must(t, w.ScheduleHealth(t.Context(), cloud.ID, noon))
		got := claimedIDs(claimAt(t, s, noon, func(c *Claim) { c.Run, c.Others = mine, []Run{theirs} }))
		want := []string{ids["here"], ids["nowhere"], cloud.ID}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("claimed %v, want %v", got, want)
		}
		// Once the other relay is gone, what its agents reach is found offline here.
		if got := claimedIDs(claimAt(t, s, noon, func(c *Claim) { c.Run = mine })); !slices.Equal(got, []string{ids["there"]}) {
			t.Errorf("claimed %v", got)
		}
	})
}

func TestAnAgentThatComesOrGoesMattersToItsConnections(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		c := addConnection(t, w, "ERP", agent.ID)
		far := noon.Add(24 * time.Hour)
		must(t, w.ScheduleHealth(t.Context(), c.ID, far))
		must(t, w.ScheduleHealthOf(t.Context(), agent.ID, "offline", true, noon)) // it is not offline
		if got := claimAt(t, s, noon); len(got) > 0 {
			t.Errorf("claimed %+v", got)
		}
		must(t, w.ScheduleHealthOf(t.Context(), agent.ID, "offline", false, noon))
		if got := claimAt(t, s, noon); len(got) != 1 {
			t.Errorf("claimed %+v", got)
		}
	})
}

func TestANoticeIsClaimedOnceUntilItIsDelivered(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		c := addConnection(t, w, "ERP", "")
		for i := range NoticesKept + 3 {
			must(t, w.AddNotice(t.Context(), Notice{ID: NewID("ntc"), ConnectionID: c.ID, At: noon, Kind: "email", Recipient: fmt.Sprint(i), Body: []byte(`{"a":1}`), NextAt: noon}))
		}
		claim := func(at time.Time) []ClaimedNotice {
			t.Helper()
			claimed, err := s.ClaimNotices(t.Context(), Claim{Lease: NewID("lea"), Now: at, Until: at.Add(time.Minute), Limit: 1000})
			must(t, err)
			return claimed
		}
		claimed := claim(noon)
		if len(claimed) != NoticesKept || len(claim(noon)) != 0 {
			t.Fatalf("claimed %d", len(claimed))
		}
		for i, n := range claimed {
			n.Attempts, n.NextAt = 1, time.Time{}
			if i == 0 {
				n.NextAt, n.Failure = noon.Add(time.Hour), "no"
			} else {
				n.DeliveredAt = noon
			}
			must(t, s.SettleNotice(t.Context(), n))
		}
		again := claim(noon.Add(time.Hour))
		if len(again) != 1 || again[0].Attempts != 1 || again[0].Failure != "no" || string(again[0].Body) != `{"a":1}` || again[0].WorkspaceID != w.ID() {
			t.Errorf("got %+v", again)
		}
		listed, err := w.Notices(t.Context(), c.ID, 5)
		must(t, err)
		if len(listed) != 5 || listed[0].DeliveredAt.IsZero() {
			t.Errorf("got %+v", listed)
		}
		if err := w.AddNotice(t.Context(), Notice{ID: NewID("ntc"), ConnectionID: "con_none", At: noon}); !errors.Is(err, ErrReference) {
			t.Errorf("a notice of nothing: %v", err)
		}
	})
}

func TestWhatWasDoneToAThingIsFound(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		for i := range 6 {
			must(t, w.AddAudit(t.Context(), Entry{ID: NewID("aud"), At: noon.Add(time.Duration(i) * time.Minute), ObjectID: []string{"con_a", "con_b"}[i%2], Action: fmt.Sprint(i)}))
		}
		got, err := w.AuditOf(t.Context(), "con_a", noon, 5)
		must(t, err)
		if len(got) != 2 || got[0].Action != "4" || got[1].Action != "2" {
			t.Errorf("got %+v", got)
		}
	})
}
