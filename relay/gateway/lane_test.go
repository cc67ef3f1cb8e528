package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

func laneOf(l connection.Limits) *lane {
	made := newLane()
	made.set(l)
	return made
}

// TestOneCallersThousandRequestsDoNotDelayAnothersOne: whoever comes last is
// served after one request of the others, and a person has two turns.
func TestOneCallersThousandRequestsDoNotDelayAnothersOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(connection.Limits{Concurrent: 1, Queue: 2000})
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		send := func(c Caller) {
			all.Go(func() {
				if err := l.take(t.Context(), c, time.Time{}); err != nil {
					t.Errorf("%s: %+v", c.ID, err)
					return
				}
				mu.Lock()
				order = append(order, c.ID)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				l.release()
			})
			synctest.Wait()
		}
		for range 1000 {
			send(Caller{Kind: "token", ID: "many"})
		}
		for range 3 {
			send(Caller{Kind: "user", ID: "ada"})
			send(Caller{Kind: "token", ID: "one"})
		}
		all.Wait()
		if len(order) != 1006 || l.waiting != 0 || l.running != 0 || len(l.queues) != 0 {
			t.Fatalf("%d served, %d wait, %d run", len(order), l.waiting, l.running)
		}
		if got, want := strings.Join(order[:10], " "), "many many ada ada one many ada one many one"; got != want {
			t.Errorf("served %s, want %s", got, want)
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(connection.Limits{PerSecond: 10, Burst: 2})
		began := time.Now()
		var all sync.WaitGroup
		for range 22 {
			all.Go(func() {
				if err := l.take(t.Context(), Caller{ID: "a"}, time.Time{}); err != nil {
					t.Errorf("%+v", err)
				}
				l.release()
			})
		}
		all.Wait()
		if took := time.Since(began).Round(time.Millisecond); took != 2*time.Second {
			t.Errorf("22 requests, two of them at once, took %s", took)
		}
		if took := l.reserve(0).Round(time.Millisecond); took != 100*time.Millisecond {
			t.Errorf("another try has to wait %s", took)
		}
		if l.rested() {
			t.Error("the lane forgets what has just begun")
		}
		time.Sleep(time.Second)
		if !l.rested() {
			t.Error("the lane never rests")
		}
	})
}

func TestATryThatWaitsForLongLetsNobodyBeginBeforeTheRateDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(connection.Limits{PerSecond: 1, Burst: 5})
		for range 5 {
			if err := l.take(t.Context(), Caller{ID: "a"}, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := l.reserve(time.Minute); took != time.Minute {
			t.Errorf("another try after a minute has to wait %s", took)
		}
		began := time.Now()
		for range 2 {
			if err := l.take(t.Context(), Caller{ID: "b"}, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		// The try has the place of the first second.
		if took := time.Since(began).Round(time.Millisecond); took != 3*time.Second {
			t.Errorf("two more began within %s", took)
		}
	})
}

func TestWhoCannotWaitIsToldWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(connection.Limits{Concurrent: 1, Queue: 3, QueueMs: 5000})
		if err := l.take(t.Context(), Caller{ID: "a"}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		type ended struct {
			who string
			err *turnError
		}
		ends := make(chan ended, 10)
		wait := func(ctx context.Context, who string) {
			go func() { ends <- ended{who, l.take(ctx, Caller{ID: who}, time.Time{})} }()
			synctest.Wait()
		}
		for range 3 {
			wait(t.Context(), "a")
		}
		wait(t.Context(), "a")
		if e := <-ends; e.err == nil || !e.err.full || e.err.retry <= 0 {
			t.Errorf("the fifth of a: %+v", e)
		}
		// Another caller's first takes the place of the last of a.
		ctx, leave := context.WithCancel(t.Context())
		wait(ctx, "b")
		if e := <-ends; e.who != "a" || e.err == nil || !e.err.full {
			t.Errorf("for b made room: %+v", e)
		}
		leave()
		if e := <-ends; e.who != "b" || e.err == nil || e.err.full {
			t.Errorf("who left: %+v", e)
		}
		l.mu.Lock()
		if l.waiting != 2 {
			t.Errorf("%d wait", l.waiting)
		}
		l.mu.Unlock()
		time.Sleep(6 * time.Second)
		for range 2 {
			if e := <-ends; e.err == nil || e.err.full || e.err.waited != 5*time.Second {
				t.Errorf("whose turn did not come: %+v", e)
			}
		}
		l.release()
		if l.running != 0 || l.waiting != 0 || len(l.queues) != 0 {
			t.Errorf("left behind: %+v", l)
		}
	})
}

func TestLimitsMayChangeWhileRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(connection.Limits{Concurrent: 1})
		_ = l.take(t.Context(), Caller{ID: "a"}, time.Time{})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := l.take(t.Context(), Caller{ID: "a"}, time.Time{}); err != nil {
					t.Errorf("%+v", err)
				}
			})
		}
		synctest.Wait()
		l.set(connection.Limits{Concurrent: 4})
		all.Wait()
	})
}

func TestAConnectionsLimitsHoldForItsRequests(t *testing.T) {
	s := newSite(t, nil)
	var now, most atomic.Int64
	s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond) // so that they meet
		now.Add(-1)
	})
	s.c.Requests.Limits = connection.Limits{Concurrent: 3}
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			resp := s.do(t, "GET", "/x", nil, "X-Caller", fmt.Sprint(i%4))
			if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Server-Timing"), "queue;dur=") {
				t.Errorf("%s, %s", resp.Status, resp.Header.Get("Server-Timing"))
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
	s.relay.Close() // so that every handler has returned
	if len(s.gateway.lanes.lanes) != 0 {
		t.Error("the lane was kept")
	}
}

func TestARequestWithoutATurnIsNotSent(t *testing.T) {
	s := newSite(t, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.mux.HandleFunc("/base/long", func(w http.ResponseWriter, r *http.Request) { close(entered); <-leave })
	s.mux.HandleFunc("/base/x", func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	s.c.Requests.Limits = connection.Limits{Concurrent: 1, Queue: 1, QueueMs: 50}
	done := make(chan struct{})
	go func() { defer close(done); s.do(t, "GET", "/long", nil) }()
	defer func() { close(leave); <-done }()
	<-entered
	resp := s.do(t, "POST", "/x", strings.NewReader("{}"))
	if p := problemOf(t, resp); resp.StatusCode != 429 || p.Code != proto.CodeTooManyRequests || p.Reason != ReasonQueueSlow || p.Outcome != proto.OutcomeNotSent || resp.Header.Get("Retry-After") == "" || p.Hint == "" {
		t.Errorf("%s %v %+v", resp.Status, resp.Header, p)
	}
	s.c.Requests.Timeouts.TotalMs = 20
	if p := problemOf(t, s.do(t, "POST", "/x", strings.NewReader("{}"))); p.Code != proto.CodeTargetTimeout || p.Outcome != proto.OutcomeNotSent || p.Facts["stage"] != "queue" {
		t.Errorf("%+v", p)
	}
	s.c.Requests.Timeouts.TotalMs = 0
}
