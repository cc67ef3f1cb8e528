package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// TestAgentOverItsOwnLimitRefusesAndLivesOn: the relay takes for granted more
// than this agent serves.
func TestAgentOverItsOwnLimitRefusesAndLivesOn(t *testing.T) {
	release := make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "served")
	})
	r := newRelay(t, false)
	transport := outbound.New(outbound.Options{})
	t.Cleanup(transport.Close)
	forwarder := forward.New(forward.Options{Transport: transport})
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarder.Serve, func(o *link.Options) {
		o.MaxStreams, o.Refuse = 3, forwarder.Refuse
	})
	r.awaitTunnels(2)
	before := s.link.Status().Tunnels

	var sending sync.WaitGroup
	for range 6 { // what both tunnels serve
		sending.Go(func() {
			resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err != nil {
				t.Errorf("a request within the limit: %v", err)
			}
		})
	}
	testkit.Eventually(t, patience, "the agent is busy", func() error {
		if n := forwarder.InFlight(); n != 6 {
			return fmt.Errorf("%d requests are under way", n)
		}
		return nil
	})
	for range 20 {
		_, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
		e := wantError(t, err, proto.CodeTooManyRequests, proto.OutcomeNotSent)
		if e.Facts["retryAfter"] == "" {
			t.Errorf("%+v", e)
		}
	}
	// Nor does a body that is still being sent keep the refusal back.
	_, err := r.send(t.Context(), "POST", app.URL, io.MultiReader(bytes.NewReader(make([]byte, 8<<20))))
	wantError(t, err, proto.CodeTooManyRequests, proto.OutcomeNotSent)
	close(release)
	sending.Wait()
	resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
	if got := mustRead(t, resp, err); got != "served" {
		t.Error(got)
	}
	after := s.link.Status().Tunnels
	if len(before) != 2 || len(after) != 2 || before[0].ID != after[0].ID || before[1].ID != after[1].ID {
		t.Errorf("the tunnels were %+v and are %+v", before, after)
	}
	awaitIdle(t, r)
}

// TestLinkObeysRetryAfter of the limit on connects that prove nothing.
func TestLinkObeysRetryAfter(t *testing.T) {
	r := newRelay(t, false)
	r.change = func(o *hub.Options) { o.ConnectsPerAddress, o.StepTimeout = 1, 100*time.Millisecond }
	r.restart(func() {})
	full, enough := make(chan struct{}), make(chan struct{})
	var knocking sync.WaitGroup
	knocking.Go(func() { // somebody at the same address, who never says who he is
		dialer := websocket.Dialer{Subprotocols: []string{proto.Subprotocol}}
		refused := sync.OnceFunc(func() { close(full) })
		for {
			ws, resp, err := dialer.Dial("ws://"+r.server.Listener.Addr().String()+proto.TunnelPath, nil)
			if err == nil {
				_ = ws.Close()
			} else if resp != nil && resp.StatusCode == http.StatusTooManyRequests {
				refused()
			}
			select {
			case <-enough:
				return
			default:
			}
		}
	})
	<-full
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
		o.Tunnels, o.RetryFirst, o.RetryLimit = 1, time.Millisecond, time.Millisecond
	})
	testkit.Eventually(t, patience, "the agent is told to wait, and does", func() error {
		if st := s.link.Status(); !strings.Contains(st.LastError, "429") || time.Until(st.RetryAt) < 200*time.Millisecond {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	close(enough)
	knocking.Wait()
	r.awaitTunnels(1)
}

// TestHeldRequestIsSentByTheNextRelay: a relay that has just started knows from
// the directory that the agent was here a moment ago.
func TestHeldRequestIsSentByTheNextRelay(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("got "), body...))
	})
	r := newRelay(t, false)
	r.change = func(o *hub.Options) { o.AgentWait = 2 * patience }
	r.restart(func() {})
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
		o.RetryFirst, o.RetryLimit = time.Second, time.Second // so that requests are there first
	})
	r.awaitTunnels(2)
	r.net.Refuse(true)
	r.restart(func() {})
	type result struct {
		resp *http.Response
		err  error
	}
	answers := make(chan result, 20)
	for i := range cap(answers) {
		go func() {
			resp, err := r.send(t.Context(), "POST", app.URL, io.MultiReader(strings.NewReader(fmt.Sprint(i))))
			answers <- result{resp, err}
		}()
	}
	testkit.Eventually(t, patience, "the agent tries in vain", func() error {
		if st := s.link.Status(); st.LastError == "" {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	r.net.Refuse(false)
	for range cap(answers) {
		got := <-answers
		if body := mustRead(t, got.resp, got.err); !strings.HasPrefix(body, "got ") {
			t.Errorf("%q", body)
		}
		if timing, err := proto.ParseTiming(got.resp.Header.Get(proto.HeaderTiming)); err != nil || timing.Held <= 0 {
			t.Errorf("%+v, %v", timing, err)
		}
	}
}

// TestInstanceThatGoesSilentLosesItsUnsentRequests to another one: those that
// waited for a place on its tunnels, and every new one.
func TestInstanceThatGoesSilentLosesItsUnsentRequests(t *testing.T) {
	r := newRelay(t, false)
	r.heartbeat = time.Second
	r.change = func(o *hub.Options) { o.MaxStreams, o.AgentWait = 4, 2*patience }
	r.restart(func() {})
	stuck := make(chan struct{})
	hang := func(ctx context.Context, stream net.Conn) {
		defer stream.Close()
		_, _ = io.CopyN(io.Discard, stream, 1)
		stuck <- struct{}{}
		<-ctx.Done()
	}
	first := r.agent(r.dir.enrol("agt_1", "ins_1"), hang, nil)
	r.awaitTunnels(2)
	lost := make(chan error, 8)
	for range cap(lost) { // fill it
		go func() {
			_, err := r.send(t.Context(), "POST", "http://erp.internal/", strings.NewReader("x"))
			lost <- err
		}()
		<-stuck
	}
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "by the other") })
	answers := make(chan error, 12)
	send := func() {
		resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
		if err == nil {
			var raw []byte
			raw, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(raw) != "by the other" {
				err = fmt.Errorf("%q, %v", raw, err)
			}
		}
		answers <- err
	}
	for range cap(answers) / 2 { // these wait for a place
		go send()
	}
	r.net.Silence(true)
	second, err := testkit.NewForwarder("127.0.0.1:0", r.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	other := r.agent(r.dir.enrol("agt_1", "ins_2"), forwarding(t), func(o *link.Options) {
		o.Identity.InstanceID = "ins_2"
		o.Relay = &url.URL{Scheme: "http", Host: second.Addr()}
	})
	for range cap(answers) / 2 { // and these come when it is silent
		go send()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for range cap(lost) {
		wantError(t, <-lost, proto.CodeTunnelLost, proto.OutcomeUnknown)
	}
	other.stop()
	r.net.Refuse(true)
	r.net.Cut()
	first.stop()
}
