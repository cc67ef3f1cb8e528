package session

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// distant is a road whose far end comes back when the test says so.
type distant struct {
	http.RoundTripper
	back chan struct{}
}

func (d distant) MostWait() time.Duration { return time.Minute }

func (d distant) Await(ctx context.Context, wait time.Duration) (time.Duration, error) {
	select {
	case <-d.back:
		return time.Second, nil
	case <-ctx.Done():
		return time.Second, &proto.Error{Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent}
	}
}

// TestEachCallerWaitsForTheAgentForHisOwnTime: one who gives up takes nobody
// with him, and no sign-in is begun that could not be sent.
func TestEachCallerWaitsForTheAgentForHisOwnTime(t *testing.T) {
	app, k := newApp(t), newKeeper(t, &memory{}, newClock(), zap.NewNop())
	c, rt := app.connection(), distant{cloud(t), make(chan struct{})}
	short, giveUp := context.WithCancel(t.Context())
	var patient sync.WaitGroup
	for range 10 {
		patient.Go(func() {
			if _, err := k.Current(t.Context(), rt, c, "req-1"); err != nil {
				t.Error(err)
			}
		})
	}
	hasty := make(chan error, 1)
	go func() {
		_, err := k.Current(short, rt, c, "req-2")
		hasty <- err
	}()
	giveUp()
	if e := proto.AsError(<-hasty); e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent {
		t.Errorf("who gave up got %v", e)
	}
	if n := app.signIns.Load(); n != 0 {
		t.Errorf("%d sign-ins were begun", n)
	}
	close(rt.back)
	patient.Wait()
	if n := app.signIns.Load(); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}
