package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// TestRelayLeavesWithoutLosingARequest: the agent moves to the other relay under a
// load of POSTs that come there.
func TestRelayLeavesWithoutLosingARequest(t *testing.T) {
	load := newPosts(t)
	a, b := newPair(t)
	a.enrolledBy(b)
	a.awaitMet(b)
	load.begin(b, func(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }) // each can be had only once
	load.awaitMore("POSTs are answered by way of the first relay")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a.hub.Leave()
	if err := a.peering.peers.Leave(ctx); err != nil {
		t.Error(err)
	}
	if err := a.hub.Drain(ctx); err != nil {
		t.Error(err)
	}
	load.awaitMore("POSTs are answered by the second relay")
	load.end()
}

// enrolledBy is enrolled, of an agent whose next tunnels come to the other relay.
func (r *relay) enrolledBy(next *relay) *site {
	r.t.Helper()
	var moved atomic.Bool
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if moved.Load() {
			next.hub.ServeHTTP(w, req)
			return
		}
		r.hub.ServeHTTP(w, req)
	})}
	go func() { _ = server.Serve(front) }()
	r.t.Cleanup(func() { _ = server.Close() })
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(r.t), func(o *link.Options) { o.Relay = mustURL("http://" + front.Addr().String()) })
	r.awaitTunnels(2)
	moved.Store(true)
	return s
}

// TestNewsOfTheNextRunCutsNoRequest: a relay that was started anew is dialled again
// at its address before the others know that it is another run.
func TestNewsOfTheNextRunCutsNoRequest(t *testing.T) {
	reached, finish := make(chan struct{}), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(reached)
			<-finish
		}
		_, _ = io.WriteString(w, "here")
	})
	a, b, path := newPairThrough(t)
	slow := make(chan string, 1)
	go func() {
		resp, err := b.send(t.Context(), "POST", app.URL+"/slow", nil)
		slow <- whole(resp, err)
	}()
	<-reached
	known := a.peering.roll
	known.mu.Lock()
	next := known.relays["rly_a"]
	next.Epoch++
	known.relays["rly_a"] = next
	known.mu.Unlock()
	awaitConnections(t, path, 2, 2, "a new link has taken the place of the other")
	resp, err := b.send(t.Context(), "POST", app.URL, nil)
	if got := whole(resp, err); got != "here" {
		t.Errorf("by the new one: %q", got)
	}
	close(finish)
	if got := <-slow; got != "here" {
		t.Errorf("by the old one: %q", got)
	}
}

func TestRevokedMachineIsShownOutByEveryRelay(t *testing.T) {
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	a.dir.revoke("agt_1", "ins_1")
	b.peering.peers.Disconnect("agt_1", "ins_1", "its enrolment was removed")
	a.awaitTunnels(0)
}

func TestClocksMayDiffer(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	a, b := newPair(t, func(a, _ *relay) {
		if a != nil {
			a.peering.clock = func() time.Time { return time.Now().Add(10 * time.Minute) }
		}
	})
	a.enrolled()
	a.awaitMet(b)
	resp, err := b.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "here" {
		t.Errorf("got %q", got)
	}
}

func TestDatabaseThatIsAwayLosesNoWay(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	resp, err := b.send(t.Context(), "GET", app.URL, nil)
	mustRead(t, resp, err)
	known := a.peering.roll
	known.mu.Lock()
	known.away = errors.New("the database is away")
	known.mu.Unlock()
	b.peering.peers.Forget("agt_1") // as time does
	resp, err = b.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "here" {
		t.Errorf("got %q", got)
	}
}

// TestDatabaseThatHangsHoldsWhoAsksForTheFirstTime: it is said then that where the
// agent is can't be known, and whoever still waits once it can is served.
func TestDatabaseThatHangsHoldsWhoAsksForTheFirstTime(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	hang := func(on bool) {
		known, dir := a.peering.roll, a.dir
		known.mu.Lock()
		known.hangs = on
		known.mu.Unlock()
		dir.mu.Lock()
		dir.hangs = on
		dir.mu.Unlock()
	}
	hang(true)
	send := func(wait string) (*http.Response, error) {
		req := mustRequest(t, "POST", app.URL, strings.NewReader("x"))
		req.Header.Set(proto.HeaderWait, wait)
		return b.hub.Road("agt_1").RoundTrip(req)
	}
	_, err := send("300")
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if !strings.Contains(e.Detail, "whether it is to another one is not known, since the database does not answer") || e.Timing.Held == 0 {
		t.Errorf("said: %s", e.Detail)
	}
	held := make(chan string, 1)
	go func() {
		resp, err := send("60000")
		held <- whole(resp, err)
	}()
	testkit.Eventually(t, patience, "it is held", func() error {
		if n := b.figure("sallyport_tunnel_requests_waiting"); n != 1 {
			return fmt.Errorf("%v requests are", n)
		}
		return nil
	})
	hang(false)
	if got := <-held; got != "here" {
		t.Errorf("who was held got %q", got)
	}
}

// TestRelayThatTheDatabaseHasLostStaysReachable: for as long as it answers on its
// connection, and no longer.
func TestRelayThatTheDatabaseHasLostStaysReachable(t *testing.T) {
	reached, finish := make(chan struct{}, 1), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			reached <- struct{}{}
			<-finish
		}
		_, _ = io.WriteString(w, "here")
	})
	var later atomic.Int64 // by so many minutes
	var path *testkit.Forwarder
	a, b := newPair(t, func(a, b *relay) {
		if a != nil {
			a.peering.between = through(t, &path)
			return
		}
		b.peering.clock = func() time.Time { return time.Now().Add(time.Duration(later.Load()) * time.Minute) }
	})
	a.enrolled()
	a.awaitMet(b)
	slow := make(chan string, 1)
	go func() {
		resp, err := b.send(t.Context(), "POST", app.URL+"/slow", strings.NewReader("x"))
		slow <- whole(resp, err)
	}()
	<-reached
	known := a.peering.roll
	known.mu.Lock()
	known.silent["rly_a"] = true
	known.mu.Unlock()
	later.Store(2) // minutes
	b.peering.peers.Forget("agt_1")
	for range 3 {
		resp, err := b.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
		if got := mustRead(t, resp, err); got != "here" {
			t.Errorf("got %q", got)
		}
	}
	close(finish)
	if got := <-slow; got != "here" {
		t.Errorf("what was under way: %q", got)
	}
	path.Refuse(true)
	path.Cut()
	b.awaitAlone()
	b.peering.peers.Forget("agt_1")
	req := mustRequest(t, "POST", app.URL, strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "300")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	if e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent); e.Reason != "" {
		t.Errorf("a relay that is dead is said to hold it: %s", e.Detail)
	}
}
