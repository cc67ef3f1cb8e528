package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRowsComeBackAsTheyWereStored(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		stored := noon.UTC().Truncate(time.Microsecond)
		agent := addAgent(t, w, "Plant 2")
		c := newConnection("ERP", agent.ID)
		must(t, w.CreateConnection(t.Context(), c))
		got, err := w.Connection(t.Context(), c.ID)
		must(t, err)
		c.CreatedAt, c.UpdatedAt = stored, stored
		if diff := cmp.Diff(c, got); diff != "" {
			t.Error(diff)
		}
		u := addUser(t, w, "Ada@Example.com")
		byEmail, err := s.UserByEmail(t.Context(), " ada@EXAMPLE.com")
		must(t, err)
		u.CreatedAt = stored
		if diff := cmp.Diff(u, byEmail); diff != "" {
			t.Error(diff)
		}
		cloud := newConnection("cloud", "")
		cloud.Secrets, cloud.SecretNames = nil, []string{}
		must(t, w.CreateConnection(t.Context(), cloud))
		got, err = w.Connection(t.Context(), cloud.ID)
		must(t, err)
		if got.AgentID != "" || got.Secrets != nil {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAnUpdateMeetsTheVersionItWasMadeFrom(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		c := addConnection(t, w, "ERP", "")
		c.Version, c.Name = 2, "ERP 2"
		must(t, w.UpdateConnection(t.Context(), c, 1))
		c.Version = 3
		if err := w.UpdateConnection(t.Context(), c, 1); !errors.Is(err, ErrVersion) {
			t.Errorf("stale save: %v", err)
		}
		if err := w.DeleteConnection(t.Context(), c.ID, 1); !errors.Is(err, ErrVersion) {
			t.Errorf("stale delete: %v", err)
		}
		missing := newConnection("x", "")
		if err := w.UpdateConnection(t.Context(), missing, 1); !errors.Is(err, ErrNotFound) {
			t.Errorf("missing: %v", err)
		}
		a := addAgent(t, w, "a")
		if err := w.RenameAgent(t.Context(), a.ID, "b", 7, noon, "Ada"); !errors.Is(err, ErrVersion) {
			t.Errorf("stale rename: %v", err)
		}
		must(t, w.RenameAgent(t.Context(), a.ID, "b", 0, noon, "Ada"))
		must(t, w.DeleteConnection(t.Context(), c.ID, 2))
	})
}

func TestReferencesHold(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		c := addConnection(t, w, "ERP", agent.ID)
		if err := w.DeleteAgent(t.Context(), agent.ID); !errors.Is(err, ErrReference) {
			t.Errorf("delete of an agent in use: %v", err)
		}
		if err := w.CreateConnection(t.Context(), newConnection("x", "agt_nowhere")); !errors.Is(err, ErrReference) {
			t.Errorf("connection of an unknown agent: %v", err)
		}
		if err := w.SaveSession(t.Context(), "con_nowhere", []byte("s"), noon, time.Time{}); !errors.Is(err, ErrReference) {
			t.Errorf("session of an unknown connection: %v", err)
		}
		addUser(t, w, "ada@example.com")
		if err := w.CreateUser(t.Context(), User{ID: NewID("usr"), Email: "ADA@example.com", CreatedAt: noon}); !errors.Is(err, ErrTaken) {
			t.Errorf("second account of an address: %v", err)
		}

		addInstance(t, s, w, agent.ID)
		must(t, w.SaveSession(t.Context(), c.ID, []byte("s"), noon, time.Time{}))
		must(t, w.AddTest(t.Context(), Test{ID: NewID("tst"), ConnectionID: c.ID, At: noon}))
		must(t, w.AddHistory(t.Context(), Event{ID: NewID("evt"), AgentID: agent.ID, At: noon}))
		must(t, w.DeleteConnection(t.Context(), c.ID, 0))
		must(t, w.DeleteAgent(t.Context(), agent.ID))
		for _, table := range []string{"sessions", "tests", "instances", "enrolment_codes", "agent_history"} {
			if n := rowCount(t, s, table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

func TestWhatFailsWithinATransactionLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		sorry := errors.New("sorry")
		err := w.Atomically(t.Context(), func(w *Workspace) error {
			addAgent(t, w, "gone")
			return sorry
		})
		if !errors.Is(err, sorry) {
			t.Errorf("got %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = w.Atomically(t.Context(), func(w *Workspace) error {
				addAgent(t, w, "gone, too")
				panic("sorry")
			})
		}()
		if n := rowCount(t, s, "agents"); n != 0 {
			t.Errorf("%d agents are left", n)
		}
		must(t, w.Atomically(t.Context(), func(w *Workspace) error {
			a := addAgent(t, w, "kept")
			_, err := w.Agent(t.Context(), a.ID) // reads what it wrote
			return err
		}))
	})
}

func TestACodeIsUsedOnceHoweverManyTry(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		now := s.Now()
		code := []byte("code")
		must(t, w.CreateEnrolmentCode(t.Context(), EnrolmentCode{AgentID: agent.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, code))
		user := addUser(t, w, "ada@example.com")
		link := []byte("link")
		must(t, w.CreateSignInLink(t.Context(), link, user.ID, now.Add(time.Hour)))

		var enrolled, signedIn atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, _, err := s.Enrol(t.Context(), code, Instance{ID: NewID("ins"), PublicKey: []byte("k"), EnrolledAt: now}, quiet)
				if err == nil {
					enrolled.Add(1)
				} else if !errors.Is(err, ErrUsed) {
					t.Error(err)
				}
			})
			wg.Go(func() {
				_, err := s.RedeemSignInLink(t.Context(), link)
				if err == nil {
					signedIn.Add(1)
				} else if !errors.Is(err, ErrUsed) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if enrolled.Load() != 1 || signedIn.Load() != 1 || rowCount(t, s, "instances") != 1 {
			t.Errorf("%d enrolled, %d signed in, %d instances", enrolled.Load(), signedIn.Load(), rowCount(t, s, "instances"))
		}
	})
}

func TestExpiredAndUnknownCodesAreToldApart(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		user := addUser(t, w, "ada@example.com")
		past := s.Now().Add(-time.Minute)
		must(t, w.CreateEnrolmentCode(t.Context(), EnrolmentCode{AgentID: agent.ID, CreatedAt: past.Add(-time.Hour), ExpiresAt: past}, []byte("code")))
		must(t, w.CreateSignInLink(t.Context(), []byte("link"), user.ID, past))
		for hash, want := range map[string]error{"code": ErrExpired, "other": ErrNotFound} {
			if _, _, err := s.Enrol(t.Context(), []byte(hash), Instance{ID: NewID("ins"), EnrolledAt: s.Now()}, quiet); !errors.Is(err, want) {
				t.Errorf("code %s: got %v", hash, err)
			}
		}
		for hash, want := range map[string]error{"link": ErrExpired, "other": ErrNotFound} {
			if _, err := s.RedeemSignInLink(t.Context(), []byte(hash)); !errors.Is(err, want) {
				t.Errorf("link %s: got %v", hash, err)
			}
		}
	})
}

func TestManyWritersAndReadersDoNotGetInEachOthersWay(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 10 {
					c := newConnection(fmt.Sprintf("%d-%d", g, i), agent.ID)
					err := w.Atomically(ctx, func(w *Workspace) error {
						if _, err := w.Agent(ctx, agent.ID); err != nil {
							return err
						}
						return w.CreateConnection(ctx, c)
					})
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := w.Connection(ctx, c.ID); err != nil {
						t.Errorf("own write is not seen: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if n := rowCount(t, s, "connections"); n != 80 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestTestsAndHistoryAreTrimmed(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		c, other := addConnection(t, w, "ERP", ""), addConnection(t, w, "other", "")
		must(t, w.AddTest(t.Context(), Test{ID: NewID("tst"), ConnectionID: other.ID, At: noon, OK: true}))
		must(t, w.Atomically(t.Context(), func(w *Workspace) error {
			for i := range TestsKept + 5 {
				must(t, w.AddTest(t.Context(), Test{ID: NewID("tst"), ConnectionID: c.ID, At: noon, LatencyMs: float64(i) + 0.5, FailedStep: "ping"}))
			}
			for range HistoryKept + 5 {
				must(t, w.AddHistory(t.Context(), Event{ID: NewID("evt"), AgentID: agent.ID, Online: true, At: noon}))
			}
			return nil
		}))
		if n := rowCount(t, s, "tests"); n != TestsKept+1 {
			t.Errorf("%d tests are kept", n)
		}
		if n := rowCount(t, s, "agent_history"); n != HistoryKept {
			t.Errorf("%d events are kept", n)
		}
		tests, err := w.Tests(t.Context(), []string{c.ID, other.ID}, 3)
		must(t, err)
		if len(tests[c.ID]) != 3 || tests[c.ID][0].LatencyMs != TestsKept+4.5 || tests[c.ID][0].OK || len(tests[other.ID]) != 1 || !tests[other.ID][0].OK {
			t.Errorf("got %+v", tests)
		}
		events, _, err := w.History(t.Context(), agent.ID, Page{Limit: 1})
		must(t, err)
		if len(events) != 1 || !events[0].Online || !events[0].At.Equal(noon.Truncate(time.Microsecond)) {
			t.Errorf("got %+v", events)
		}
	})
}

func TestLastSeenNeverGoesBack(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		i := addInstance(t, s, w, agent.ID)
		must(t, w.InstanceSeen(t.Context(), agent.ID, i.ID, noon))
		must(t, w.InstanceSeen(t.Context(), agent.ID, i.ID, noon.Add(-time.Hour)))
		got, name, err := s.InstanceByID(t.Context(), agent.ID, i.ID)
		must(t, err)
		if !got.LastSeenAt.Equal(noon.Truncate(time.Microsecond)) || name != "Plant 2" || got.WorkspaceID != w.ID() {
			t.Errorf("got %+v, %q", got, name)
		}
	})
}

func TestManyMachinesAreSeenAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		plant, quarry := addAgent(t, w, "Plant 2"), addAgent(t, w, "Quarry")
		if _, _, err := s.AgentSeen(t.Context(), plant.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("an agent without machines: %v", err)
		}
		first, second, absent := addInstance(t, s, w, plant.ID), addInstance(t, s, w, plant.ID), addInstance(t, s, w, quarry.ID)
		must(t, w.InstanceSeen(t.Context(), plant.ID, second.ID, noon.Add(time.Hour)))
		ids := []string{"ins_removed", first.ID, second.ID}
		for i := range seenAtOnce { // more than one statement takes
			ids = append(ids, fmt.Sprint("ins_other_", i))
		}
		must(t, w.InstancesSeen(t.Context(), append(ids, first.ID), noon))
		must(t, w.InstancesSeen(t.Context(), nil, noon))
		ended, err := w.InstancesAbsent(t.Context(), append(ids, absent.ID))
		must(t, err)
		if len(ended) != 1+seenAtOnce || ended[0] != "ins_removed" || slices.Contains(ended, second.ID) {
			t.Errorf("%d are not enrolled: %q", len(ended), ended)
		}
		if ended, err := w.InstancesAbsent(t.Context(), nil); err != nil || len(ended) != 0 {
			t.Errorf("of none: %q, %v", ended, err)
		}
		stored := noon.Truncate(time.Microsecond)
		for id, want := range map[string]time.Time{first.ID: stored, second.ID: stored.Add(time.Hour), absent.ID: {}} {
			agent := plant.ID
			if id == absent.ID {
				agent = quarry.ID
			}
			if got, _, err := s.InstanceByID(t.Context(), agent, id); err != nil || !got.LastSeenAt.Equal(want) {
				t.Errorf("%s was seen at %s, want %s; %v", id, got.LastSeenAt, want, err)
			}
		}
		if name, seen, err := s.AgentSeen(t.Context(), plant.ID); err != nil || name != "Plant 2" || !seen.Equal(stored.Add(time.Hour)) {
			t.Errorf("got %q, %s, %v", name, seen, err)
		}
		if name, seen, err := s.AgentSeen(t.Context(), quarry.ID); err != nil || name != "Quarry" || !seen.IsZero() {
			t.Errorf("got %q, %s, %v", name, seen, err)
		}
	})
}

func TestBrowserSessionsEnd(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		must(t, s.SaveBrowserSession(t.Context(), "old", []byte("x"), s.Now().Add(-time.Second)))
		must(t, s.SaveBrowserSession(t.Context(), "new", []byte("x"), s.Now().Add(time.Hour)))
		must(t, s.SaveBrowserSession(t.Context(), "new", []byte("y"), s.Now().Add(time.Hour)))
		if _, err := s.BrowserSession(t.Context(), "old"); !errors.Is(err, ErrNotFound) {
			t.Errorf("expired session: %v", err)
		}
		data, err := s.BrowserSession(t.Context(), "new")
		must(t, err)
		must(t, s.DeleteExpiredBrowserSessions(t.Context()))
		if n := rowCount(t, s, "browser_sessions"); string(data) != "y" || n != 1 {
			t.Errorf("data %q, %d rows", data, n)
		}
	})
}

func TestSealedRowsAreNoticed(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		for _, want := range []bool{false, true} {
			got, err := s.HasSealed(t.Context())
			must(t, err)
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if !want {
				addConnection(t, home(s), "ERP", "")
			}
		}
	})
}

func TestACodeWhoseUseCantBeRecordedStaysGood(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		now := s.Now()
		code := []byte("code")
		must(t, w.CreateEnrolmentCode(t.Context(), EnrolmentCode{AgentID: agent.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, code))
		in := Instance{ID: NewID("ins"), PublicKey: []byte("k"), EnrolledAt: now}
		sorry := errors.New("sorry")
		if _, _, err := s.Enrol(t.Context(), code, in, func(*Workspace, Agent, EnrolmentCode) error { return sorry }); !errors.Is(err, sorry) {
			t.Errorf("got %v", err)
		}
		if _, _, err := s.Enrol(t.Context(), code, in, quiet); err != nil {
			t.Error(err)
		}
	})
}
