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
					most = time.Second
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
