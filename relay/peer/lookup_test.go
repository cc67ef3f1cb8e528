package peer

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// stalled is a store that does not answer.
type stalled struct {
	Roll
	asked atomic.Int32
}

func (s *stalled) Holdings(ctx context.Context, _ []string) ([]Holding, error) {
	s.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestStoreThatDoesNotAnswerIsWaitedForOnce: by all who want to know the same, and
// by nobody for longer than he has time.
func TestStoreThatDoesNotAnswerIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stalled{}
		p := &Peers{opts: Options{Roll: store}, log: zap.NewNop()}
		known := []Holding{{Relay: Relay{ID: "rly_a", Epoch: 1}, AgentID: "agt_1"}}
		p.lookups.of("agt_1").set(known, time.Now())
		time.Sleep(2 * foundFor)
		began := time.Now()
		var asking sync.WaitGroup
		for i := range 5 {
			asking.Go(func() {
				ctx, most := t.Context(), lookupTimeout
				if i == 4 {
					time.Sleep(time.Millisecond) // behind the others
					most = lookupTimeout / 2
					var cancel context.CancelFunc
					ctx, cancel = context.WithDeadline(ctx, began.Add(most))
					defer cancel()
				}
				if held := p.holdings(ctx, "agt_1"); len(held) != 1 {
					t.Errorf("what was known is forgotten: %v", held)
				}
				if took := time.Since(began); took != most {
					t.Errorf("%d waited for %s", i, took)
				}
			})
		}
		asking.Wait()
		if n := store.asked.Load(); n != 1 {
			t.Errorf("the store was asked %d times", n)
		}
	})
}

// TestWhatWasKnownServesWhileTheStoreIsAsked: nobody waits for the store who can
// be sent to where the agent was last.
func TestWhatWasKnownServesWhileTheStoreIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stalled{}
		p := &Peers{opts: Options{Roll: store}, log: zap.NewNop()}
		p.life, p.end = context.WithCancel(t.Context())
		defer p.work.Wait()
		defer p.end()
		if held := p.lately("agt_1"); held != nil || p.Trouble("agt_1") != nil {
			t.Errorf("of an agent that was never asked for: %v", held)
		}
		p.lookups.of("agt_1").set([]Holding{{Relay: Relay{ID: "rly_a", Epoch: 1}, AgentID: "agt_1"}}, time.Now())
		for _, step := range []struct {
			later time.Duration
			asked int32 // so often by then
		}{
			{0, 0},
			{foundFor, 1},
			{lookupTimeout / 2, 1}, // it is still being asked
			{lookupTimeout, 1},     // it has not answered, and is left in peace for a while
			{foundFor, 2},
		} {
			time.Sleep(step.later)
			began := time.Now()
			if held := p.lately("agt_1"); len(held) != 1 || time.Since(began) != 0 {
				t.Errorf("%d are known, after %s", len(held), time.Since(began))
			}
			synctest.Wait()
			if n := store.asked.Load(); n != step.asked {
				t.Errorf("the store was asked %d times, want %d", n, step.asked)
			}
		}
		p.lookups.forget("agt_1")
		if held := p.lately("agt_1"); held != nil {
			t.Errorf("it is said to be elsewhere: %v", held)
		}
	})
}

// TestThatTheStoreDoesNotAnswerIsSaid, and not that the agent is nowhere.
func TestThatTheStoreDoesNotAnswerIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Peers{opts: Options{Roll: &stalled{}}, log: zap.NewNop()}
		if held := p.holdings(t.Context(), "agt_1"); len(held) != 0 {
			t.Errorf("held by %v", held)
		}
		if trouble := p.Trouble("agt_1"); trouble == nil || trouble.Relay != "" || trouble.Why != "the database does not answer" {
			t.Errorf("the trouble is %+v", trouble)
		}
		p.lookups.of("agt_1").set(nil, time.Now())
		if trouble := p.Trouble("agt_1"); trouble != nil {
			t.Errorf("the trouble is %+v", trouble)
		}
	})
}
