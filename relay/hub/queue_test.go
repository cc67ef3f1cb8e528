package hub_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
	"sallyport/proto"
	"sallyport/relay/hub"
)

const patience = 10 * time.Second

// player is the agent's end of a tunnel, played by the test: its requests are
// answered when the test says so.
type player struct {
	session *mux.Session
	arrived chan string    // the path of each request
	answer  chan struct{}  // one request is answered for each
	keeps   bool           // it offers its streams for further requests
	working sync.WaitGroup // of everything that it started
}

// play connects one tunnel of agt_1.
func (s *stand) play(t *testing.T, change func(*proto.Hello)) *player {
	t.Helper()
	hello := s.hello()
	if change != nil {
		change(hello)
	}
	ws := s.dial(t)
	if err := s.shake(t, ws, hello); err != nil {
		t.Fatal(err)
	}
	conn := wsconn.New(ws, wsconn.Options{OnText: func([]byte) error { return nil }})
	session, err := mux.Client(conn, mux.Options{RTT: time.Millisecond, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	p := &player{session: session, arrived: make(chan string, 1000), answer: make(chan struct{}, 1000)}
	p.working.Go(func() {
		for {
			stream, err := session.AcceptStream()
			if err != nil {
				return
			}
			p.working.Go(func() { p.serve(stream) })
		}
	})
	t.Cleanup(p.leave)
	return p
}

func (p *player) serve(stream *mux.Stream) {
	defer stream.Close()
	in, kept := bufio.NewReader(stream), ""
	if p.keeps {
		kept = "Connection: " + proto.KeepStream + "\r\n"
	}
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		p.arrived <- req.URL.Path
		select {
		case <-p.answer:
			_, _ = io.WriteString(stream, "HTTP/1.1 200 OK\r\n"+kept+"Content-Length: 2\r\n\r\nok")
		case <-p.session.Ended():
			return
		}
		if kept == "" {
			return
		}
	}
}

func (p *player) leave() {
	_ = p.session.Close()
	p.working.Wait()
}

// sent is a request under way.
type sent struct {
	resp *http.Response
	err  error
	took time.Duration
}

// send sends a request without waiting for its end.
func (s *stand) send(t *testing.T, method, path string, options ...string) <-chan sent {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = io.MultiReader(strings.NewReader("once")) // can't be had again
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://erp"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(options); i += 2 {
		req.Header.Set(options[i], options[i+1])
	}
	done := make(chan sent, 1)
	go func() {
		began := time.Now()
		resp, err := s.hub.Road("agt_1").RoundTrip(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		done <- sent{resp, err, time.Since(began)}
	}()
	return done
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("%s: nothing", what)
		panic("unreachable")
	}
}

func (s *stand) awaitTunnels(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, patience, fmt.Sprintf("%d tunnels are up", n), func() error {
		have := 0
		for _, in := range s.hub.Instances("agt_1") {
			have += in.Tunnels
		}
		if have != n {
			return fmt.Errorf("%d are", have)
		}
		return nil
	})
}

// awaitWaiting waits until so many requests wait.
func (s *stand) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, patience, fmt.Sprintf("%d requests wait", n), func() error {
		if have := value(t, s.registry, "sallyport_tunnel_requests_waiting"); int(have) != n {
			return fmt.Errorf("%v do", have)
		}
		return nil
	})
}

func holding(o *hub.Options) { o.AgentWait = patience }

func TestHeldUntilTheAgentIsBack(t *testing.T) {
	s := newStand(t, holding)
	s.roll.lastSeen = time.Now().Add(-10 * time.Second)
	var all []<-chan sent
	for i := range 10 {
		all = append(all, s.send(t, []string{"GET", "POST"}[i%2], fmt.Sprint("/", i), proto.HeaderTimeout, "60000"))
		s.awaitWaiting(t, i+1)
	}
	p := s.play(t, nil)
	for range all {
		p.answer <- struct{}{}
	}
	for i, one := range all {
		got := receive(t, one, "a held request")
		if got.err != nil {
			t.Fatalf("request %d: %v", i, got.err)
		}
		timing, err := proto.ParseTiming(got.resp.Header.Get(proto.HeaderTiming))
		if err != nil || timing.Held <= 0 || timing.Held > got.took || timing.Held+timing.Tunnel > got.took {
			t.Errorf("request %d: %+v, %v, of %s", i, timing, err, got.took)
		}
	}
	s.awaitWaiting(t, 0)
}

// TestRequestThatDoesNotWaitIsToldSo: where the only place is taken, and where it
// is free.
func TestRequestThatDoesNotWaitIsToldSo(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.AgentWait, o.MaxStreams = patience, 1 })
	p := s.play(t, nil)
	s.awaitTunnels(t, 1)
	first := s.send(t, "GET", "/first")
	receive(t, p.arrived, "the first request")
	e := proto.AsError(receive(t, s.send(t, "GET", "/second", proto.HeaderWait, "0"), "an answer at once").err)
	if e == nil || e.Code != proto.CodeTooManyRequests || e.Outcome != proto.OutcomeNotSent || !strings.Contains(e.Detail, "the request does not wait") || e.Timing != nil {
		t.Errorf("%v", e)
	}
	p.answer <- struct{}{}
	if got := receive(t, first, "the first answer"); got.err != nil {
		t.Error(got.err)
	}
	p.answer <- struct{}{}
	if got := receive(t, s.send(t, "GET", "/third", proto.HeaderWait, "0"), "the third answer"); got.err != nil {
		t.Error(got.err)
	}
}

// TestRequestWhoseTunnelBrokeIsHeld: where it may be repeated, and no other
// tunnel is up.
func TestRequestWhoseTunnelBrokeIsHeld(t *testing.T) {
	s := newStand(t, holding)
	first := s.play(t, nil)
	s.awaitTunnels(t, 1)
	get := s.send(t, "GET", "/safe")
	receive(t, first.arrived, "the request")
	first.leave()
	s.awaitTunnels(t, 0)
	s.awaitWaiting(t, 1)
	second := s.play(t, nil)
	second.answer <- struct{}{}
	if got := receive(t, get, "the answer"); got.err != nil {
		t.Error(got.err)
	}

	post := s.send(t, "POST", "/unsafe")
	receive(t, second.arrived, "the first request, again")
	receive(t, second.arrived, "the POST")
	second.leave()
	if e := proto.AsError(receive(t, post, "the failure").err); e == nil || e.Code != proto.CodeTunnelLost || e.Outcome != proto.OutcomeUnknown {
		t.Errorf("a POST that may have been done: %v", e)
	}

	// What may have been done is not called "not sent" after a vain wait.
	third := s.play(t, nil)
	get = s.send(t, "GET", "/safe", proto.HeaderWait, "300")
	receive(t, third.arrived, "the request")
	third.leave()
	if e := proto.AsError(receive(t, get, "the failure").err); e == nil || e.Code != proto.CodeTunnelLost || e.Outcome != proto.OutcomeUnknown || e.Timing.Held < 200*time.Millisecond {
		t.Errorf("a GET that may have been done: %v", e)
	}
}

func TestFullTunnelsAreWaitedForInTurn(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.MaxStreams = 2 })
	p := s.play(t, nil)
	other := s.play(t, func(h *proto.Hello) { h.Slot = 1 })
	s.awaitTunnels(t, 2)
	var running []<-chan sent
	for i := range 4 {
		running = append(running, s.send(t, "GET", fmt.Sprint("/first/", i)))
	}
	for range 2 { // spread over both
		receive(t, p.arrived, "a request on the first tunnel")
		receive(t, other.arrived, "a request on the second")
	}
	for i := range 5 {
		running = append(running, s.send(t, "GET", fmt.Sprint("/then/", i)))
		s.awaitWaiting(t, i+1)
	}
	for i := range 5 {
		free := []*player{p, other}[i%2] // whichever tunnel has room, the next one gets it
		free.answer <- struct{}{}
		if got, want := receive(t, free.arrived, "the next request"), fmt.Sprint("/then/", i); got != want {
			t.Errorf("%s came, want %s", got, want)
		}
	}
	s.awaitWaiting(t, 0)
	for range 4 {
		p.answer <- struct{}{}
		other.answer <- struct{}{}
	}
	for _, one := range running {
		if got := receive(t, one, "an answer"); got.err != nil {
			t.Error(got.err)
		}
	}
}

func TestRequestsOneByOneKeepToOneTunnel(t *testing.T) {
	s := newStand(t, nil)
	p := s.play(t, nil)
	other := s.play(t, func(h *proto.Hello) { h.Slot = 1 })
	p.keeps, other.keeps = true, true // no stream was opened yet
	s.awaitTunnels(t, 2)
	first := s.send(t, "GET", "/first")
	select {
	case <-p.arrived:
	case <-other.arrived:
		p, other = other, p
	}
	p.answer <- struct{}{}
	receive(t, first, "the first answer")
	for i := range 5 {
		p.answer <- struct{}{}
		if got := receive(t, s.send(t, "GET", fmt.Sprint("/then/", i)), "an answer by the same tunnel"); got.err != nil {
			t.Fatal(got.err)
		}
		receive(t, p.arrived, "the request")
	}
	busy := s.send(t, "GET", "/long")
	receive(t, p.arrived, "the long request")
	beside := s.send(t, "GET", "/beside")
	receive(t, other.arrived, "the one beside it, on the other tunnel")
	for _, one := range []*player{p, other} {
		one.answer <- struct{}{}
	}
	for _, one := range []<-chan sent{busy, beside} {
		if got := receive(t, one, "an answer"); got.err != nil {
			t.Error(got.err)
		}
	}
}

func TestTunnelsThatStayFullAreALimit(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.MaxStreams, o.RoomWait, o.MaxWaiting = 1, time.Hour, 2 })
	p := s.play(t, nil)
	s.awaitTunnels(t, 1)
	running := []<-chan sent{s.send(t, "GET", "/first")}
	receive(t, p.arrived, "the first request")
	limited := func(got sent, words string) {
		t.Helper()
		e := proto.AsError(got.err)
		if e == nil || e.Code != proto.CodeTooManyRequests || e.Outcome != proto.OutcomeNotSent || e.Facts["retryAfter"] == "" || !strings.Contains(e.Detail, words) {
			t.Errorf("%v %+v", got.err, e)
		}
	}
	got := receive(t, s.send(t, "POST", "/late", proto.HeaderWait, "200"), "the refusal")
	limited(got, "each of its 1 tunnels carries the 1 requests")
	if got.took < 100*time.Millisecond {
		t.Errorf("it waited %s only", got.took)
	}
	limited(receive(t, s.send(t, "POST", "/impatient", proto.HeaderWait, "0"), "the refusal"), "busy")

	for i := range 2 {
		running = append(running, s.send(t, "POST", fmt.Sprint("/patient/", i)))
		s.awaitWaiting(t, i+1)
	}
	limited(receive(t, s.send(t, "POST", "/too-many"), "the refusal"), "wait already (2)")
	for _, one := range running {
		p.answer <- struct{}{}
		if got := receive(t, one, "the answer"); got.err != nil {
			t.Error(got.err)
		}
	}
}

// TestWaitersDoNotOutliveTheLastTunnel where requests are not held for agents
// that are away.
func TestWaitersDoNotOutliveTheLastTunnel(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.MaxStreams, o.RoomWait = 1, time.Hour })
	p := s.play(t, nil)
	s.awaitTunnels(t, 1)
	first := s.send(t, "POST", "/first")
	receive(t, p.arrived, "the first request")
	second := s.send(t, "POST", "/second")
	s.awaitWaiting(t, 1)
	p.leave()
	if e := proto.AsError(receive(t, first, "the failure").err); e == nil || e.Code != proto.CodeTunnelLost {
		t.Errorf("the first: %v", e)
	}
	if e := proto.AsError(receive(t, second, "the failure").err); e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent {
		t.Errorf("the second: %v", e)
	}
}

// TestSuspiciousTunnelIsSpared: a tunnel that has been silent for more than a
// heartbeat gets nothing while another lives; where it is the only one,
// requests wait for its word.
func TestSuspiciousTunnelIsSpared(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { holding(o); o.Heartbeat = 600 * time.Millisecond })
	quiet := s.dial(t) // answers no ping, since nobody reads
	hello := s.hello()
	hello.InstanceID = "ins_1"
	if err := s.shake(t, quiet, hello); err != nil {
		t.Fatal(err)
	}
	s.awaitTunnels(t, 1)
	testkit.Eventually(t, patience, "the tunnel has been silent for too long", func() error {
		for _, in := range s.hub.Instances("agt_1") { // none: it is gone already, which will do as well
			if silent := time.Since(in.LastSeenAt); silent < 950*time.Millisecond {
				return fmt.Errorf("for %s", silent)
			}
		}
		return nil
	})
	post := s.send(t, "POST", "/careful")
	s.awaitWaiting(t, 1)
	p := s.play(t, func(h *proto.Hello) { h.Slot = 1 })
	for i := range 5 {
		p.answer <- struct{}{}
		if i > 0 {
			post = s.send(t, "POST", "/careful")
		}
		if got := receive(t, post, "the answer"); got.err != nil {
			t.Fatal(got.err)
		}
	}
}

func TestAwaitTellsWhenARequestCouldBeSent(t *testing.T) {
	s := newStand(t, holding)
	s.roll.lastSeen = time.Now()
	road, ok := s.hub.Road("agt_1").(interface {
		http.RoundTripper
		Await(context.Context, time.Duration) (time.Duration, error)
	})
	if !ok {
		t.Fatal("the road can't be waited for")
	}
	if held, err := road.Await(t.Context(), 100*time.Millisecond); proto.AsError(err) == nil || held < 50*time.Millisecond {
		t.Errorf("an agent that is away: %v after %s", err, held)
	}
	p := s.play(t, nil)
	s.awaitTunnels(t, 1)
	if held, err := road.Await(t.Context(), time.Second); err != nil || held != 0 {
		t.Errorf("an agent that is there: %v after %s", err, held)
	}
	p.answer <- struct{}{}
	if got := receive(t, s.send(t, "GET", "/"), "the answer"); got.err != nil {
		t.Error(got.err)
	}
}
