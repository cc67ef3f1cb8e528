package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/peer"
)

// through puts a forwarder before the relay's port for others.
func through(t *testing.T, by **testkit.Forwarder) func(string) string {
	return func(address string) string {
		f, err := testkit.NewForwarder("127.0.0.1:0", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		*by = f
		return f.Addr()
	}
}

// newPairThrough is a pair of which the second reaches the first through a
// forwarder, and an agent at the first one.
func newPairThrough(t *testing.T) (a, b *relay, path *testkit.Forwarder) {
	t.Helper()
	a, b = newPair(t, func(a, _ *relay) {
		if a != nil {
			a.peering.between = through(t, &path)
		}
	})
	a.enrolled()
	a.awaitMet(b)
	return a, b, path
}

func TestRequestTakesTheWayByTheRelayThatHoldsTheAgent(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, proto.HeaderPrefix) {
				t.Errorf("the application was sent %s", name)
			}
		}
		w.Header().Set(proto.HeaderTiming, "wait=1") // forged
		w.Header().Set("X-Cookie", r.Header.Get("Cookie"))
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", app.URL+"/", strings.NewReader("hello"))
	req.Header.Set("Cookie", "a=1;b=2;  c=3")
	req.Header.Set(proto.HeaderRequestID, "req_1")
	resp, err := b.hub.Road("agt_1").RoundTrip(req)
	if got := mustRead(t, resp, err); got != "hello" || resp.Header.Get("X-Cookie") != "a=1;b=2;  c=3" {
		t.Errorf("got %q, cookies %q", got, resp.Header.Get("X-Cookie"))
	}
	timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	if err != nil || timing.Tunnel <= 0 || timing.Wait <= time.Microsecond || timing.Address == "" {
		t.Errorf("timing %+v, %v", timing, err)
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, proto.HeaderPrefix+"Peer-") {
			t.Errorf("the caller is shown %s", name)
		}
	}
	if sent, served := b.figure("sallyport_peer_requests_total"), a.figure("sallyport_peer_requests_total"); sent != 1 || served != 1 {
		t.Errorf("%v were sent, %v served", sent, served)
	}
	machines := b.peering.peers.Instances("agt_1")
	if len(machines) != 1 || machines[0].Hostname != "erp-01" || machines[0].Tunnels != 2 {
		t.Errorf("the other relay's machines: %+v", machines)
	}
	awaitIdle(t, a)
	if n := b.figure("sallyport_peer_requests_in_flight"); n != 0 {
		t.Errorf("%v are under way", n)
	}
}

// TestFailuresAreToldAsByATunnel: typed, of the agent and of the other relay.
func TestFailuresAreToldAsByATunnel(t *testing.T) {
	broken := target(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	nowhere := fmt.Sprintf("http://127.0.0.1:%d/", testkit.FreePort(t))
	for _, method := range []string{"POST", "HEAD", "GET"} {
		_, err := b.send(t.Context(), method, nowhere, nil)
		e := wantError(t, err, proto.CodeTargetRefused, proto.OutcomeNotSent)
		if e.Reason != proto.ReasonRefused || e.Facts["address"] == "" || e.Timing == nil || e.Timing.Tunnel <= 0 {
			t.Errorf("%s: %+v %+v", method, e, e.Timing)
		}
	}
	resp, err := b.send(t.Context(), "GET", broken.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	e := wantError(t, err, proto.CodeTargetUnreachable, proto.OutcomeSent)
	if string(raw) != "only this" || !strings.Contains(e.Detail, "broke off") {
		t.Errorf("%q, %s", raw, e)
	}
	_, err = b.send(t.Context(), "POST", broken.URL, failing{})
	wantError(t, err, proto.CodeCanceled, proto.OutcomeUnknown)
	_, err = b.hub.Road("agt_none").RoundTrip(mustRequest(t, "GET", nowhere, nil))
	wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	awaitIdle(t, a)
}

func TestCancellationReachesTheApplicationByAnotherRelay(t *testing.T) {
	app := newUnending(t)
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	app.wantCancellations(t, b)
	awaitIdle(t, a)
}

func TestWhoWaitsIsServedWhereverTheAgentShowsUp(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	a, b := newPair(t)
	a.awaitMet(b)
	key := a.dir.enrol("agt_1", "ins_1")
	for _, at := range []*relay{a, b, a} {
		var waiting sync.WaitGroup
		for range 5 {
			waiting.Go(func() {
				resp, err := b.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				timing, _ := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
				if raw, err := io.ReadAll(resp.Body); string(raw) != "here" || timing.Held <= 0 {
					t.Errorf("%q, %v, held for %s", raw, err, timing.Held)
				}
			})
		}
		testkit.Eventually(t, patience, "they wait", func() error {
			if n := b.waiting(); n != 5 {
				return fmt.Errorf("%d do", n)
			}
			return nil
		})
		s := at.agent(key, forwarding(t), nil)
		waiting.Wait()
		s.stop()
		at.awaitTunnels(0)
	}
}

// awaitAlone waits until the relay has noticed that it has no connection to others.
func (r *relay) awaitAlone() {
	r.t.Helper()
	testkit.Eventually(r.t, patience, "it is noticed", func() error {
		if r.figure("sallyport_peers_connected") > 0 {
			return errors.New("it is not")
		}
		return nil
	})
}

// waiting is how many requests wait for the agent at this relay.
func (r *relay) waiting() (n int) { return r.hub.Waiting("agt_1") }

// TestNoRequestGoesInCircles: each relay believes of the other that it holds the
// agent, which has just moved or is nowhere.
func TestNoRequestGoesInCircles(t *testing.T) {
	var seen atomic.Int32
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = io.Copy(w, r.Body)
	})
	a, b := newPair(t)
	a.awaitMet(b)
	b.awaitMet(a)
	key := a.dir.enrol("agt_1", "ins_1")
	known := a.peering.roll
	known.mu.Lock()
	for id, r := range known.relays {
		known.claimed[id] = []peer.Holding{{Relay: r, AgentID: "agt_1", Counter: 1, Instance: hub.Instance{ID: "ins_1"}}}
	}
	known.mu.Unlock()
	req := mustRequest(t, "POST", app.URL, strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "700")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if e.Reason != "" || !strings.Contains(e.Detail, "is offline") {
		t.Errorf("got %s: %s", e.Reason, e.Detail)
	}
	if n := b.figure("sallyport_peer_requests_total"); n < 1 || n > 4 {
		t.Errorf("%v requests went to the other relay", n)
	}
	if n := a.figure("sallyport_peer_requests_total"); n != b.figure("sallyport_peer_requests_total") {
		t.Errorf("%v at the other relay: one went on", n)
	}
	// The agent comes to the relay that waits, while the other is still believed.
	// The body, which can be had only once, is still whole.
	before := b.figure("sallyport_peer_requests_total")
	answered := make(chan string, 1)
	go func() {
		resp, err := b.send(t.Context(), "POST", app.URL, io.MultiReader(strings.NewReader("only once")))
		answered <- whole(resp, err)
	}()
	testkit.Eventually(t, patience, "the other relay has been asked", func() error {
		if b.figure("sallyport_peer_requests_total") == before {
			return errors.New("it has not")
		}
		return nil
	})
	s := b.agent(key, forwarding(t), nil)
	if got := <-answered; got != "only once" {
		t.Errorf("got %q", got)
	}
	s.stop()
	if n := seen.Load(); n != 1 {
		t.Errorf("the application saw %d", n)
	}
}

// TestLogOfAMachineIsFollowedAtEveryRelay: of one that is connected there, and of
// one that is connected elsewhere.
func TestLogOfAMachineIsFollowedAtEveryRelay(t *testing.T) {
	a, b := newPair(t)
	there, _ := a.logging("ins_1", true)
	here, _ := b.logging("ins_2", true)
	a.awaitTunnels(2)
	b.awaitTunnels(2)
	a.awaitMet(b)
	reader := b.peering.peers.FollowLogs("agt_1", "", "info")
	defer reader.Close()
	until(t, reader, there, "ins_1", "first")
	until(t, reader, here, "ins_2", "second")
	at := a.peering.peers.FollowLogs("agt_1", "ins_2", "error")
	defer at.Close()
	logUntil(t, at, func() { here.Logger().Error("grave") }, "an error", func(n hub.LogNews, line proto.LogLine) bool {
		if line.Level != "error" || n.InstanceID != "ins_2" {
			t.Errorf("unasked: %+v", n)
		}
		return line.Message == "grave"
	})

	// The relay that is asked stops: that ends nobody else's reading.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.peering.peers.Leave(ctx); err != nil {
		t.Error(err)
	}
	until(t, reader, here, "ins_2", "third")
}

// TestWhoWatchesSeesWhatHappensAtOtherRelays: once each, and not back again.
func TestWhoWatchesSeesWhatHappensAtOtherRelays(t *testing.T) {
	a, b := newPair(t)
	a.awaitMet(b)
	b.awaitMet(a)
	here, there := a.events.Subscribe("wsp_1"), b.events.Subscribe("wsp_1")
	defer here.Close()
	defer there.Close()
	a.enrolled()
	seen := func(s *event.Subscription, want event.Event) (n int) {
		t.Helper()
		marker := event.Event{WorkspaceID: "wsp_1", Type: event.HealthChanged, ID: "marker"}
		for {
			select {
			case e := <-s.C:
				if e == want {
					n++
				}
				if e == marker {
					return n
				}
			case <-time.After(patience):
				t.Fatal("the marker does not come")
			}
		}
	}
	changed := event.Event{WorkspaceID: "wsp_1", Type: event.ConnectionChanged, ID: "con_1"}
	a.events.Publish(changed)
	a.events.Publish(event.Event{WorkspaceID: "wsp_1", Type: event.HealthChanged, ID: "marker"})
	if n := seen(there, changed); n != 1 {
		t.Errorf("it came %d times to the other relay", n)
	}
	if n := seen(here, changed); n != 1 {
		t.Errorf("it came %d times at its own relay", n)
	}
	b.events.Publish(event.Event{WorkspaceID: "wsp_1", Type: event.HealthChanged, ID: "marker"})
	if n := seen(here, changed); n != 0 {
		t.Errorf("it came back %d times", n)
	}

	// What happens while the connection is down is missed, and that is told.
	later := a.events.Subscribe("wsp_1")
	defer later.Close()
	b.restart(func() {})
	select {
	case <-later.Missed():
	case <-time.After(patience):
		t.Error("events were missed without a word")
	}
}
