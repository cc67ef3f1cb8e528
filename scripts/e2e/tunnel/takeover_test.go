package tunnel

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// TestAgentMovesToAnotherRelayBeforeItsOwnStops: the relay that leaves serves
// until its last request has ended, and a request that has begun there may
// need another one meanwhile.
func TestAgentMovesToAnotherRelayBeforeItsOwnStops(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-finish
		}
		_, _ = io.WriteString(w, "done")
	})
	a := newRelay(t, false)
	b := hub.New(hub.Options{Directory: a.dir, Events: a.events, Log: a.log.Named("b"), RelayID: "rly_2", Heartbeat: a.heartbeat})
	defer b.Close()
	var takes atomic.Pointer[hub.Hub] // the balancer's choice
	takes.Store(a.hub)
	mux := http.NewServeMux()
	mux.HandleFunc(proto.TunnelPath, func(w http.ResponseWriter, r *http.Request) { takes.Load().ServeHTTP(w, r) })
	balancer := httptest.NewServer(mux)
	defer balancer.Close()
	front, err := url.Parse(balancer.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := a.agent(a.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
		o.Relay = front
		o.StopTimeout = time.Millisecond // of the agent: must say nothing of the relay's requests
	})
	defer s.stop()
	a.awaitTunnels(2)

	slow := make(chan error, 1)
	go func() {
		resp, err := a.send(context.Background(), "POST", app.URL+"/slow", strings.NewReader("x"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		slow <- err
	}()
	<-began
	takes.Store(b)
	a.hub.Leave()
	moved, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.hub.Moved(moved); err != nil {
		t.Fatalf("the agent did not move: %v", err)
	}
	if st := s.link.Status(); st.State != link.StateOnline || len(st.Tunnels) != 2 {
		t.Errorf("agent: %+v", st)
	}
	testkit.Eventually(t, patience, "B has both tunnels", func() error {
		if in := b.Instances("agt_1"); len(in) != 1 || in[0].Tunnels != 2 {
			return fmt.Errorf("%+v", in)
		}
		return nil
	})
	for relay, h := range map[string]*hub.Hub{"A": a.hub, "B": b} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", app.URL+"/quick", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h.Road("agt_1").RoundTrip(req)
		if got := mustRead(t, resp, err); got != "done" {
			t.Errorf("%s: %s", relay, got)
		}
	}
	close(finish)
	if err := <-slow; err != nil {
		t.Errorf("what was under way: %v", err)
	}
	if err := a.hub.Drain(moved); err != nil {
		t.Error(err)
	}
	if err := a.hub.Close(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, patience, "the agent has let go of A", func() error {
		if st := s.link.Status(); len(st.Tunnels) != 2 || st.LastError != "" {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}

// TestLastAgentStandsByARelayThatLeaves: where there is no other relay, the
// agent keeps its tunnels until the relay is gone.
func TestLastAgentStandsByARelayThatLeaves(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "done") })
	r := newRelay(t, false)
	r.enrolled()
	r.hub.Leave()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := r.hub.Moved(short); err == nil {
		t.Error("it moved, but where to?")
	}
	resp, err := r.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "done" {
		t.Error(got)
	}
}

// TestAgentsThatAreAskedToMoveDoNotComeAtOnce: each dials at a moment of its
// own within the span that the relay names, 5 ms for each tunnel.
func TestAgentsThatAreAskedToMoveDoNotComeAtOnce(t *testing.T) {
	const agents, each = 25, 4
	var mu sync.Mutex
	var knocks []time.Time
	r := newRelay(t, false)
	r.log = zap.NewNop()
	r.knocked = func() {
		mu.Lock()
		defer mu.Unlock()
		knocks = append(knocks, time.Now())
	}
	r.restart(func() {})
	for i := range agents {
		instance := fmt.Sprint("ins_", i)
		r.agent(r.dir.enrol("agt_1", instance), forwarding(t), func(o *link.Options) {
			o.Identity.InstanceID, o.Log, o.Tunnels = instance, zap.NewNop(), each
			o.RetryFirst, o.RetryLimit = time.Hour, time.Hour // only the first attempt counts
		})
	}
	r.awaitTunnels(agents * each)
	mu.Lock()
	knocks = nil
	mu.Unlock()
	spread := r.hub.Leave()
	if want := agents * each * 5 * time.Millisecond; spread != want {
		t.Errorf("the span is %s, want %s", spread, want)
	}
	testkit.Eventually(t, patience, "each tunnel has been dialled again", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(knocks) < agents*each {
			return fmt.Errorf("%d were", len(knocks))
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if took := knocks[len(knocks)-1].Sub(knocks[0]); took < spread/2 {
		t.Errorf("all came within %s", took)
	}
}
