package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/event"
)

// TestTunnelLostSaysWhatMayHaveHappened breaks the network at each stage of a
// request. The agent's end is played by the test, so that the stage is exact.
func TestTunnelLostSaysWhatMayHaveHappened(t *testing.T) {
	const started = "HTTP/1.1 102 Processing\r\n" + proto.HeaderStarted + ": 1\r\n\r\n"
	for _, c := range []struct {
		name    string
		method  string
		answer  string // what the agent has written when it ends
		inOrder bool   // the stream ends, not the tunnel
		code    proto.Code
		outcome proto.Outcome
		tries   int32
	}{
		{"a POST that was not begun, stream ended", "POST", "", true, proto.CodeTunnelLost, proto.OutcomeNotSent, 2},
		{"a POST that was not begun, network cut", "POST", "", false, proto.CodeTunnelLost, proto.OutcomeUnknown, 1},
		{"a POST that was begun, stream ended", "POST", started, true, proto.CodeTunnelLost, proto.OutcomeUnknown, 1},
		{"a POST that was begun, network cut", "POST", started, false, proto.CodeTunnelLost, proto.OutcomeUnknown, 1},
		{"a GET, stream ended", "GET", "", true, proto.CodeTunnelLost, proto.OutcomeUnknown, 2},
		{"half a header, network cut", "POST", started + "HTTP/1.1 200 O", false, proto.CodeTunnelLost, proto.OutcomeUnknown, 1},
		{"half a body, network cut", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false, proto.CodeTunnelLost, proto.OutcomeSent, 1},
		{"half a chunked body, network cut", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false, proto.CodeTunnelLost, proto.OutcomeSent, 1},
		{"half a body, stream ended", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true, proto.CodeTargetUnreachable, proto.OutcomeSent, 1},
		{"no length", "GET", "HTTP/1.1 200 OK\r\n\r\nwhatever", true, proto.CodeInternal, proto.OutcomeUnknown, 1},
		{"not HTTP", "GET", "hello\r\n\r\n", true, proto.CodeInternal, proto.OutcomeUnknown, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRelay(t, false)
			var tries atomic.Int32
			serve := func(ctx context.Context, stream net.Conn) {
				req, err := http.ReadRequest(bufio.NewReader(stream))
				if err != nil {
					t.Errorf("read request: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				tries.Add(1)
				_, _ = io.WriteString(stream, c.answer)
				if !c.inOrder {
					// What was written is on its way; let it arrive.
					time.Sleep(50 * time.Millisecond)
					r.net.Refuse(true)
					r.net.Cut()
				}
			}
			r.agent(r.dir.enrol("agt_1", "ins_1"), serve, nil)
			r.awaitTunnels(2)
			resp, err := r.send(t.Context(), c.method, "http://erp.internal/x", strings.NewReader("body"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			wantError(t, err, c.code, c.outcome)
			if tries.Load() != c.tries {
				t.Errorf("the agent was asked %d times, want %d", tries.Load(), c.tries)
			}
		})
	}
}

// TestSafeRequestsAreRepeatedOnAnotherTunnel: a GET survives the loss of its
// tunnel, a POST with the same fate does not come twice.
func TestSafeRequestsAreRepeatedOnAnotherTunnel(t *testing.T) {
	r := newRelay(t, false)
	var tries atomic.Int32
	serve := func(ctx context.Context, stream net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(stream))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if tries.Add(1) == 1 {
			return // without an answer
		}
		_, _ = io.WriteString(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
	r.agent(r.dir.enrol("agt_1", "ins_1"), serve, nil)
	r.awaitTunnels(2)
	for _, body := range []io.Reader{nil, strings.NewReader("replayable")} {
		tries.Store(0)
		resp, err := r.send(t.Context(), "PUT", "http://erp.internal/x", body)
		if got := mustRead(t, resp, err); got != "ok" || tries.Load() != 2 {
			t.Errorf("%q after %d tries", got, tries.Load())
		}
	}
	tries.Store(0)
	_, err := r.send(t.Context(), "PUT", "http://erp.internal/x", io.MultiReader(strings.NewReader("only once")))
	wantError(t, err, proto.CodeTunnelLost, proto.OutcomeUnknown)
	if tries.Load() != 1 {
		t.Errorf("a body that can't be had again was sent %d times", tries.Load())
	}
}

// TestNotSentIsSaidOfTheWholeRequest: the second attempt was certainly not
// sent, but the first may have been.
func TestNotSentIsSaidOfTheWholeRequest(t *testing.T) {
	const refused = `{"detail":"nobody listens","outcome":"not_sent"}`
	r := newRelay(t, false)
	var tries atomic.Int32
	serve := func(ctx context.Context, stream net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(stream)); err != nil || tries.Add(1) == 1 {
			return // without an answer
		}
		_, _ = fmt.Fprintf(stream, "HTTP/1.1 502 Bad Gateway\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
			proto.HeaderError, proto.CodeTargetRefused, len(refused), refused)
	}
	r.agent(r.dir.enrol("agt_1", "ins_1"), serve, nil)
	r.awaitTunnels(2)
	_, err := r.send(t.Context(), "GET", "http://erp.internal/x", nil)
	wantError(t, err, proto.CodeTargetRefused, proto.OutcomeUnknown)
	if tries.Load() != 2 {
		t.Errorf("%d tries", tries.Load())
	}
}

// TestErrorOfTheAgentIsToldWhateverTheMethod: an answer to HEAD has no body, but
// what the agent says in place of one has.
func TestErrorOfTheAgentIsToldWhateverTheMethod(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	r := newRelay(t, false)
	r.enrolled()
	for _, method := range []string{"GET", "HEAD", "POST", "HEAD"} {
		_, err := r.send(t.Context(), method, "http://"+nobody.Addr().String()+"/", nil)
		if e := wantError(t, err, proto.CodeTargetRefused, proto.OutcomeNotSent); !strings.Contains(e.Detail, "127.0.0.1") {
			t.Errorf("%s: %s", method, e.Detail)
		}
	}
	awaitIdle(t, r)
}

func TestAgentOfflineNamesItAndSinceWhen(t *testing.T) {
	r := newRelay(t, false)
	_, err := r.send(t.Context(), "GET", "http://erp.internal/", nil)
	wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)

	s := r.enrolled()
	changes := r.events.Subscribe("wsp_1")
	defer changes.Close()
	s.stop()
	r.awaitTunnels(0)
	_, err = r.send(t.Context(), "GET", "http://erp.internal/", nil)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if !strings.Contains(e.Detail, "Plant 2") || e.Facts["lastSeen"] == "" {
		t.Errorf("%+v", e)
	}
	testkit.Eventually(t, patience, "the directory knows", func() error {
		return has(r.dir.lines(), "disconnected agt_1/ins_1: the agent closed its tunnel")
	})
	select {
	case e := <-changes.C:
		if e.Type != event.AgentChanged || e.ID != "agt_1" {
			t.Errorf("%+v", e)
		}
	case <-time.After(patience):
		t.Error("no event")
	}
}

func TestAgentComesBackAfterTheRelayRestarts(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	r := newRelay(t, false)
	s := r.enrolled()
	r.restart(func() {
		testkit.Eventually(t, patience, "the agent knows", func() error {
			if st := s.link.Status(); st.State == link.StateOnline || st.LastError == "" || st.RetryAt.IsZero() {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	})
	r.awaitTunnels(2)
	resp, err := r.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "here" {
		t.Error(got)
	}
	if st := s.link.Status(); st.State != link.StateOnline || st.LastError != "" || len(st.Tunnels) != 2 || st.LatencyMs <= 0 || st.AgentName != "Plant 2" {
		t.Errorf("%+v", st)
	}
}

// TestHalfOpenConnectionIsNoticed: the network swallows everything and keeps
// both sockets. Each end must notice by itself, and the agent must come back
// when the network does.
func TestHalfOpenConnectionIsNoticed(t *testing.T) {
	r := newRelay(t, false)
	r.heartbeat = 200 * time.Millisecond
	r.restart(func() {})
	s := r.enrolled()
	r.net.Silence(true)
	testkit.Eventually(t, patience, "both ends notice", func() error {
		if st := s.link.Status(); len(st.Tunnels) > 0 {
			return fmt.Errorf("agent: %+v", st)
		}
		if in := r.hub.Instances("agt_1"); len(in) > 0 {
			return fmt.Errorf("relay: %+v", in)
		}
		return nil
	})
	// Whichever end is the first closes its socket, and so may end the other's
	// connection before that has waited long enough itself.
	testkit.Eventually(t, patience, "it is known why", func() error {
		return has(append(r.dir.lines(), s.link.Status().LastError), "no sign of life")
	})
	r.net.Silence(false)
	r.net.Cut() // what hangs in a handshake
	r.awaitTunnels(2)
}

func TestAgentDrainsOnStop(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "finished")
	})
	r := newRelay(t, false)
	s := r.enrolled()
	type result struct {
		body string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		resp, err := r.send(context.Background(), "POST", app.URL, strings.NewReader("x"))
		if err != nil {
			answered <- result{err: err}
			return
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		answered <- result{string(raw), err}
	}()
	<-began
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	r.awaitTunnels(1) // the idle one is gone
	_, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("too late"))
	wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	close(finish)
	if got := <-answered; got.err != nil || got.body != "finished" {
		t.Errorf("%+v", got)
	}
	<-stopped
}

// TestAgentThatStopsWhileItIsWelcomedServesWhatCame: to the relay a tunnel is
// up before its agent knows, and requests come down it.
func TestAgentThatStopsWhileItIsWelcomedServesWhatCame(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "served") })
	r := newRelay(t, false)
	r.net.SetDelay(150 * time.Millisecond)
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) { o.Tunnels = 1 })
	r.awaitTunnels(1)
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }() // the Welcome is still on its way
	resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
	if got := mustRead(t, resp, err); got != "served" {
		t.Error(got)
	}
	<-stopped
}

func TestIdleDrainEndsAtOnce(t *testing.T) {
	r := newRelay(t, false)
	s := r.enrolled()
	began := time.Now()
	if err := r.hub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
}

func TestRelayDrainWaitsForWhatIsUnderWay(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-finish
	})
	r := newRelay(t, false)
	s := r.enrolled()
	done := make(chan error, 1)
	go func() {
		resp, err := r.send(context.Background(), "GET", app.URL, nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		done <- err
	}()
	<-began
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.hub.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain ended with %v while a request was under way", err)
	}
	testkit.Eventually(t, patience, "new tunnels are refused", func() error {
		if st := s.link.Status(); st.LastError == "" && len(st.Tunnels) == 2 {
			resp, err := http.Get(r.server.URL + proto.TunnelPath)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusUpgradeRequired {
				return nil // not a websocket at all: never got so far as the drain
			}
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	})
	close(finish)
	if err := r.hub.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSecondRunOfAnInstanceTakesOver(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	r := newRelay(t, false)
	r.heartbeat = time.Minute // so that only taking over can remove the old run
	r.restart(func() {})
	key := r.dir.enrol("agt_1", "ins_1")
	r.agent(key, forwarding(t), nil)
	r.awaitTunnels(2)
	r.net.Silence(true) // the machine lost power: nothing says goodbye
	// The next run reaches the relay by another way.
	second, err := testkit.NewForwarder("127.0.0.1:0", r.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	s := r.agent(key, forwarding(t), func(o *link.Options) { o.Relay = &url.URL{Scheme: "http", Host: second.Addr()} })
	defer s.stop()
	testkit.Eventually(t, patience, "the second run's tunnels are the only ones", func() error {
		if st := s.link.Status(); len(st.Tunnels) != 2 {
			return fmt.Errorf("agent: %+v", st)
		}
		if in := r.hub.Instances("agt_1"); len(in) != 1 || in[0].Tunnels != 2 {
			return fmt.Errorf("relay: %+v", in)
		}
		return nil
	})
	resp, err := r.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "ok" {
		t.Error(got)
	}
	r.net.Silence(false)
	r.net.Refuse(true)
	r.net.Cut()
}

func TestRevokedInstanceIsCutOffAndRefused(t *testing.T) {
	r := newRelay(t, false)
	s := r.enrolled()
	r.dir.revoke("agt_1", "ins_1")
	r.hub.Disconnect("agt_1", "ins_1", "the instance was removed")
	testkit.Eventually(t, patience, "the agent says so", func() error {
		st := s.link.Status()
		if st.State != link.StateRefused || st.Refusal != string(proto.RefusedUnknown) || time.Until(st.RetryAt) < time.Minute {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	testkit.Eventually(t, patience, "the directory knows why", func() error {
		return has(r.dir.lines(), "the instance was removed")
	})
}

// TestInstanceRevokedDuringItsHandshakeIsCutOff: the look-up found it, and
// when its tunnels were to be closed there were none yet.
func TestInstanceRevokedDuringItsHandshakeIsCutOff(t *testing.T) {
	r := newRelay(t, false)
	key := r.dir.enrol("agt_1", "ins_1")
	var once sync.Once
	r.dir.lookedUp = func(agentID, instanceID string) {
		once.Do(func() {
			r.dir.revoke(agentID, instanceID)
			r.hub.Disconnect(agentID, instanceID, "the instance was removed")
		})
	}
	s := r.agent(key, forwarding(t), nil)
	testkit.Eventually(t, patience, "the agent is refused, and holds no tunnel", func() error {
		if st := s.link.Status(); st.Refusal != string(proto.RefusedUnknown) || len(r.hub.Instances("agt_1")) > 0 {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}

func TestWrongKeyIsRefused(t *testing.T) {
	r := newRelay(t, false)
	r.dir.enrol("agt_1", "ins_1")
	s := r.agent(r.dir.enrol("agt_9", "ins_9"), forwarding(t), nil)
	testkit.Eventually(t, patience, "the agent is refused", func() error {
		if st := s.link.Status(); st.Refusal != string(proto.RefusedProof) {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	if in := r.hub.Instances("agt_1"); len(in) > 0 {
		t.Errorf("%+v", in)
	}
}

func TestClockThatIsOffIsAFact(t *testing.T) {
	r := newRelay(t, false)
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
		o.Clock = func() time.Time { return time.Now().Add(time.Hour) }
	})
	r.awaitTunnels(2)
	if off := r.hub.Instances("agt_1")[0].ClockOffset; off < 59*time.Minute || off > 61*time.Minute {
		t.Errorf("relay: %s", off)
	}
	testkit.Eventually(t, patience, "the agent knows", func() error {
		if off := s.link.Status().ClockOffsetMs; off < 59*60_000 || off > 61*60_000 {
			return fmt.Errorf("%d ms", off)
		}
		return nil
	})
}
