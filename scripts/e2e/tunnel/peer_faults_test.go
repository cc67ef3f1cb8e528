package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/link"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
	"sallyport/relay/peer"
)

// TestBrokenConnectionBetweenRelaysTellsTheTruth: while a request is under way,
// and while its answer is.
func TestBrokenConnectionBetweenRelaysTellsTheTruth(t *testing.T) {
	for name, fault := range map[string]func(*testkit.Forwarder){
		"cut":    func(f *testkit.Forwarder) { f.Cut() },
		"silent": func(f *testkit.Forwarder) { f.Silence(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time it waits
			var mu sync.Mutex
			seen := map[string]int{}
			reached, finish := make(chan struct{}, 8), make(chan struct{})
			app := target(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				seen[r.Method+r.URL.Path]++
				times := seen[r.Method+r.URL.Path]
				mu.Unlock()
				if r.URL.Path == "/body" {
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
				}
				if r.Method == "GET" && times > 1 {
					return // the second time it is quick
				}
				if r.URL.Path != "/body" { // else the header's arrival counts
					reached <- struct{}{}
				}
				select {
				case <-finish:
				case <-r.Context().Done():
				}
			})
			defer close(finish)
			_, b, path := newPairThrough(t)
			type result struct {
				what string
				err  error
			}
			results := make(chan result, 3)
			for _, what := range []string{"POST /", "GET /", "POST /body"} {
				method, at, _ := strings.Cut(what, " ")
				go func() {
					resp, err := b.send(t.Context(), method, app.URL+at, nil)
					if err == nil && at == "/body" {
						reached <- struct{}{}
					}
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						_ = resp.Body.Close()
					}
					results <- result{what, err}
				}()
			}
			for range 3 {
				<-reached
			}
			began := time.Now()
			fault(path)
			if name == "silent" {
				b.awaitAlone()
				path.Silence(false)
			}
			for range 3 {
				switch r := <-results; r.what {
				case "POST /":
					e := wantError(t, r.err, proto.CodeTunnelLost, proto.OutcomeUnknown)
					if !strings.Contains(e.Detail, "rly_a") || e.Hint == "" {
						t.Errorf("%s %s", e.Detail, e.Hint)
					}
				case "POST /body":
					wantError(t, r.err, proto.CodeTunnelLost, proto.OutcomeSent)
				default:
					if r.err != nil {
						t.Errorf("%s: %v", r.what, r.err)
					}
				}
			}
			t.Logf("all was over after %s", time.Since(began).Round(time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			if seen["POST/"] != 1 || seen["POST/body"] != 1 || seen["GET/"] != 2 {
				t.Errorf("the application saw %v", seen)
			}
		})
	}
}

func TestRelayThatCanNotBeReachedIsNamed(t *testing.T) {
	_, b, path := newPairThrough(t)
	path.Refuse(true)
	path.Cut()
	b.awaitAlone()
	req := mustRequest(t, "POST", "http://erp.test/", strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "300")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if e.Reason != hub.ReasonRelayUnreachable || e.Facts["relay"] != "rly_a" || e.Facts["address"] != path.Addr() ||
		!strings.Contains(e.Detail, `"Plant 2" is connected to another relay, rly_a, which can't be reached at `+path.Addr()) || !strings.Contains(e.Detail, "held for") {
		t.Errorf("%s %v: %s", e.Reason, e.Facts, e.Detail)
	}
	t.Log(e.Detail, e.Hint)
}

// TestWhoStopsToReadKeepsNobodyWaiting: more is stalled, both ways, than the
// connection's windows would hold by default.
func TestWhoStopsToReadKeepsNobodyWaiting(t *testing.T) {
	const stalled = 24
	over := make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			_, _ = io.CopyN(w, zeros{}, 8<<20)
		case "/up": // reads nothing
			<-over
		default:
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
		}
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer close(over)
	defer cancel()
	var uploaded atomic.Int64
	for range stalled {
		resp, err := b.send(ctx, "GET", app.URL+"/down", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() // unread until then
		all.Go(func() {
			_, _ = b.send(ctx, "POST", app.URL+"/up", io.TeeReader(io.LimitReader(zeros{}, 64<<20), tally{&uploaded}))
		})
	}
	var last int64 = -1
	testkit.Eventually(t, patience, "the uploads are stalled", func() error {
		now := uploaded.Load()
		before := last
		last = now
		if now == 0 || now != before {
			return fmt.Errorf("%d bytes were taken", now)
		}
		return nil
	})
	body := strings.Repeat("x", 4<<20)
	prompt, end := context.WithTimeout(t.Context(), patience)
	defer end()
	resp, err := b.send(prompt, "POST", app.URL+"/echo", io.MultiReader(strings.NewReader(body)))
	if got := mustRead(t, resp, err); got != body {
		t.Errorf("%d bytes came back", len(got))
	}
}

type tally struct{ n *atomic.Int64 }

func (c tally) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestRelayLeavesWithoutLosingARequest: the agent moves to the other relay under a
// load of POSTs that come there.
func TestRelayLeavesWithoutLosingARequest(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(id)]++
		mu.Unlock()
		_, _ = w.Write(id)
	})
	a, b := newPair(t)
	a.enrolledBy(b)
	a.awaitMet(b)
	stop := make(chan struct{})
	var posting sync.WaitGroup
	var sent atomic.Int32
	for worker := range 4 {
		posting.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", worker, n)
				resp, err := b.send(t.Context(), "POST", app.URL, io.MultiReader(strings.NewReader(id)))
				if err != nil {
					t.Errorf("%s: %v (%v)", id, err, proto.AsError(err).Outcome)
					return
				}
				raw, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(raw) != id {
					t.Errorf("%s: %q, %v", id, raw, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	awaitMore := func(what string) {
		t.Helper()
		begin := sent.Load()
		testkit.Eventually(t, patience, what, func() error {
			if n := sent.Load() - begin; n < 50 {
				return fmt.Errorf("%d were", n)
			}
			return nil
		})
	}
	awaitMore("POSTs are answered by way of the first relay")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a.hub.Leave()
	if err := a.peering.peers.Leave(ctx); err != nil {
		t.Error(err)
	}
	if err := a.hub.Drain(ctx); err != nil {
		t.Error(err)
	}
	awaitMore("POSTs are answered by the second relay")
	close(stop)
	posting.Wait()
	mu.Lock()
	defer mu.Unlock()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
	if len(seen) != int(sent.Load()) {
		t.Errorf("%d were answered, %d arrived", sent.Load(), len(seen))
	}
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
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
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
	testkit.Eventually(t, patience, "a new link has taken the place of the other", func() error {
		if n := b.figure("sallyport_peer_requests_in_flight"); n != 0 {
			return fmt.Errorf("%v requests on it", n)
		}
		return nil
	})
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

func TestRelayWithoutAPortForOthersIsNamed(t *testing.T) {
	a, b := newPair(t)
	a.dir.enrol("agt_1", "ins_1")
	known := a.peering.roll
	known.mu.Lock()
	known.claimed["rly_old"] = []peer.Holding{{Relay: peer.Relay{ID: "rly_old", Epoch: 1}, AgentID: "agt_1", Counter: 1, Instance: hub.Instance{ID: "ins_1"}}}
	known.mu.Unlock()
	req := mustRequest(t, "POST", "http://erp.test/", strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "300")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if e.Reason != hub.ReasonRelayUnreachable || !strings.Contains(e.Detail, "another relay, rly_old, which takes no requests of other relays.") || !strings.Contains(e.Hint, "peer-listen") {
		t.Errorf("%s: %s %s", e.Reason, e.Detail, e.Hint)
	}
}

// TestCallerWhoDoesNotReadHintsStallsNobody: informational answers of one request
// are passed on beside the connection that all share.
func TestCallerWhoDoesNotReadHintsStallsNobody(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hints" {
			for range 40 {
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
			}
		}
		_, _ = io.WriteString(w, "here")
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	free := make(chan struct{})
	told := &stubborn{wait: free}
	answered := make(chan string, 1)
	go func() {
		ctx := context.WithValue(t.Context(), outbound.InformKey{}, outbound.Informer(told))
		resp, err := b.send(ctx, "GET", app.URL+"/hints", nil)
		answered <- whole(resp, err)
	}()
	testkit.Eventually(t, patience, "the first hint has come", func() error {
		if told.n.Load() == 0 {
			return errors.New("it has not")
		}
		return nil
	})
	resp, err := b.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "here" {
		t.Errorf("another: %q", got)
	}
	close(free)
	if got := <-answered; got != "here" || told.n.Load() < 2 {
		t.Errorf("%q after %d hints", got, told.n.Load())
	}
}

// stubborn is told of informational answers, and takes its time.
type stubborn struct {
	n    atomic.Int32
	wait chan struct{}
}

func (s *stubborn) Inform(int, http.Header) {
	s.n.Add(1)
	<-s.wait
}
