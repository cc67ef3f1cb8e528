package tunnel

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/agent/pause"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// pausable runs a machine of the agent with the site's switch, as its program
// does.
func (r *relay) pausable(instanceID string) (*pause.Switch, *site) {
	r.t.Helper()
	s, err := pause.Open(r.t.TempDir())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s, r.switched(s, instanceID)
}

// switched runs a machine with a switch.
func (r *relay) switched(s *pause.Switch, instanceID string) *site {
	r.t.Helper()
	transport := outbound.New(outbound.Options{})
	r.t.Cleanup(transport.Close)
	machine := r.agent(r.dir.enrol("agt_1", instanceID), forward.New(forward.Options{Transport: s.Wrap(transport)}).Serve, func(o *link.Options) {
		o.Identity.InstanceID = instanceID
		o.Announce = func() []proto.Control {
			p := s.Paused()
			return []proto.Control{&p}
		}
	})
	s.Watch(func(p proto.Paused) { machine.link.Tell(&p) })
	return machine
}

func (r *relay) awaitPaused(want int) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, fmt.Sprintf("the relay knows of %d pauses", want), func() error {
		have := 0
		for _, in := range r.hub.Instances("agt_1") {
			if in.Paused != nil {
				have++
			}
		}
		if have != want {
			return fmt.Errorf("it knows of %d", have)
		}
		return nil
	})
}

func TestPausedAgentRefusesAtOnceAndFinishesWhatIsUnderWay(t *testing.T) {
	var reached atomic.Int32
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-finish
		}
		_, _ = io.WriteString(w, "done")
	})
	r := newRelay(t, false)
	s, _ := r.pausable("ins_1")
	r.awaitTunnels(2)
	slow := make(chan string, 1)
	go func() {
		resp, err := r.send(t.Context(), "POST", app.URL+"/slow", nil)
		if err != nil {
			slow <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		slow <- string(body)
	}()
	<-begun
	if _, err := s.Pause("month-end closing", time.Hour); err != nil {
		t.Fatal(err)
	}
	// From the first moment on, whether the relay knows already or not.
	for range 3 {
		_, err := r.send(t.Context(), "POST", app.URL, nil)
		e := wantError(t, err, proto.CodeAgentPaused, proto.OutcomeNotSent)
		if e.Facts["reason"] != "month-end closing" || e.Facts["until"] == "" {
			t.Errorf("%+v", e)
		}
		r.awaitPaused(1)
	}
	_, err := r.send(t.Context(), "GET", app.URL, nil)
	if e := wantError(t, err, proto.CodeAgentPaused, proto.OutcomeNotSent); e.Facts["agent"] != "Plant 2" || e.Facts["retryAfter"] == "" {
		t.Errorf("the relay's own: %+v", e)
	}
	close(finish)
	if got := <-slow; got != "done" {
		t.Errorf("what was under way: %s", got)
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("the application was reached %d times", n)
	}
	r.awaitTunnels(2)
	if _, err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	r.awaitPaused(0)
	resp, err := r.send(t.Context(), "GET", app.URL, nil)
	mustRead(t, resp, err)
}

// TestOtherMachinesTakeWhatAPausedOneDoesNot, without a failure in between.
func TestOtherMachinesTakeWhatAPausedOneDoesNot(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
	r := newRelay(t, false)
	one, _ := r.pausable("ins_1")
	two, _ := r.pausable("ins_2")
	r.awaitTunnels(4)
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			resp, err := r.send(t.Context(), "POST", app.URL, nil)
			if err != nil {
				failed <- err
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	for range 3 {
		for _, s := range []*pause.Switch{one, two} {
			if _, err := s.Pause("", 0); err != nil {
				t.Fatal(err)
			}
			r.awaitPaused(1)
			if _, err := s.Resume(); err != nil {
				t.Fatal(err)
			}
			r.awaitPaused(0)
		}
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
	if _, err := one.Pause("", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Pause("", 0); err != nil {
		t.Fatal(err)
	}
	r.awaitPaused(2)
	_, err := r.send(t.Context(), "GET", app.URL, nil)
	wantError(t, err, proto.CodeAgentPaused, proto.OutcomeNotSent)
}

// TestRequestsThatWaitDoNotWaitForAPausedAgent: one that comes back paused.
func TestRequestsThatWaitDoNotWaitForAPausedAgent(t *testing.T) {
	r := newRelay(t, false)
	r.change = func(o *hub.Options) { o.AgentWait = time.Minute }
	r.restart(func() {})
	s, machine := r.pausable("ins_1")
	r.awaitTunnels(2)
	machine.stop()
	r.awaitTunnels(0)
	if _, err := s.Pause("", 0); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := r.send(t.Context(), "GET", "http://erp.test", nil)
		waiting <- err
	}()
	r.switched(s, "ins_1")
	select {
	case err := <-waiting:
		wantError(t, err, proto.CodeAgentPaused, proto.OutcomeNotSent)
	case <-time.After(3 * patience):
		t.Error("it waits on")
	}
}
