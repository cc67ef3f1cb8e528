package hub_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/event"
	"sallyport/relay/hub"
)

// alone is a hub whose only agent is away, and was last seen as long ago as
// told. It is for tests whose time is the bubble's own: no socket is open.
func alone(t *testing.T, seen time.Duration, change func(*hub.Options)) (*hub.Hub, *roll) {
	t.Helper()
	r := &roll{lastSeen: time.Now().Add(-seen)}
	opts := hub.Options{Directory: r, Events: &event.Bus{}, Log: zap.NewNop(), AgentWait: 15 * time.Second, Registerer: prometheus.NewRegistry()}
	if change != nil {
		change(&opts)
	}
	h := hub.New(opts)
	t.Cleanup(func() { _ = h.Close() })
	return h, r
}

// ask sends a GET and returns how it failed and how long that took.
func ask(ctx context.Context, h *hub.Hub, options ...string) (*proto.Error, time.Duration) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://erp/", nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(options); i += 2 {
		req.Header.Set(options[i], options[i+1])
	}
	began := time.Now()
	_, err = h.Road("agt_1").RoundTrip(req)
	return proto.AsError(err), time.Since(began)
}

func TestHeldThenFailedWithNameAndSince(t *testing.T) {
	for _, c := range []struct {
		name    string
		seen    time.Duration
		agent   time.Duration // the setting
		options []string
		want    time.Duration
	}{
		{"just seen", time.Second, 15 * time.Second, nil, 15 * time.Second},
		{"seen 59 s ago", 59 * time.Second, 15 * time.Second, nil, 15 * time.Second},
		{"seen a minute ago", time.Minute, 15 * time.Second, nil, 0},
		{"another setting", time.Second, 40 * time.Second, nil, 40 * time.Second},
		{"switched off", time.Second, 0, nil, 0},
		{"switched off, and asked for", time.Second, 0, []string{proto.HeaderWait, "5000"}, 0},
		{"asked for less", time.Second, 15 * time.Second, []string{proto.HeaderWait, "2500"}, 2500 * time.Millisecond},
		{"asked for more", time.Second, 15 * time.Second, []string{proto.HeaderWait, "60000"}, time.Minute},
		{"asked for more than may be", time.Second, 15 * time.Second, []string{proto.HeaderWait, "3600000"}, hub.MaxWait},
		{"asked not to wait", time.Second, 15 * time.Second, []string{proto.HeaderWait, "0"}, 0},
		{"asked for nonsense", time.Second, 15 * time.Second, []string{proto.HeaderWait, "soon"}, 15 * time.Second},
		{"its own limit is shorter", time.Second, 15 * time.Second, []string{proto.HeaderTimeout, "3000"}, 3 * time.Second},
		{"its own limit is longer", time.Second, 15 * time.Second, []string{proto.HeaderTimeout, "30000"}, 15 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := alone(t, c.seen, func(o *hub.Options) { o.AgentWait = c.agent })
				e, took := ask(t.Context(), h, c.options...)
				if e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent || took != c.want {
					t.Fatalf("%v after %s, want agent_offline after %s", e, took, c.want)
				}
				if !strings.Contains(e.Detail, `"Plant 2" is offline`) || e.Facts["lastSeen"] != r.lastSeen.UTC().Format(time.RFC3339) || e.Facts["retryAfter"] == "" {
					t.Errorf("%s %v", e.Detail, e.Facts)
				}
				if c.want > 0 && (!strings.Contains(e.Detail, "held for "+c.want.String()) || e.Timing == nil || e.Timing.Held != c.want) {
					t.Errorf("%s %+v", e.Detail, e.Timing)
				}
				if r.asked == 0 || r.asked > 3 {
					t.Errorf("the directory was asked %d times", r.asked)
				}
			})
		})
	}
}

// TestRelayThatWasAwayForLongHoldsForWhoWasThere: an hour without a relay is no
// sign that the agents are gone.
func TestRelayThatWasAwayForLongHoldsForWhoWasThere(t *testing.T) {
	for _, c := range []struct {
		name       string
		seen, late time.Duration // seen: before the last relay went; late: after this one came
		want       time.Duration
	}{
		{"was there to the end", 5 * time.Second, time.Second, 15 * time.Second},
		{"had left before", 2 * time.Minute, time.Second, 0},
		{"has not come back for a minute", 5 * time.Second, time.Minute, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := alone(t, time.Hour+c.seen, func(o *hub.Options) { o.LastAlive = time.Now().Add(-time.Hour) })
				time.Sleep(c.late)
				if e, took := ask(t.Context(), h); e.Code != proto.CodeAgentOffline || took != c.want {
					t.Errorf("%v after %s", e, took)
				}
			})
		})
	}
	t.Run("never seen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, r := alone(t, 0, func(o *hub.Options) { o.LastAlive = time.Now().Add(-time.Hour) })
			r.lastSeen = time.Time{}
			if e, took := ask(t.Context(), h); took != 0 || !strings.Contains(e.Detail, "never been connected") {
				t.Errorf("%v after %s", e, took)
			}
		})
	})
}

func TestHeldRequestEndsWhenItsContextDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		h, _ := alone(t, time.Second, func(o *hub.Options) { o.Registerer = registry })
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, leave)
		if e, took := ask(ctx, h); e.Code != proto.CodeCanceled || e.Outcome != proto.OutcomeNotSent || took != 2*time.Second {
			t.Errorf("the caller left: %v after %s", e, took)
		}
		ctx, leave = context.WithTimeout(t.Context(), 3*time.Second)
		defer leave()
		if e, took := ask(ctx, h); e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent || took != 3*time.Second {
			t.Errorf("its deadline passed: %v after %s", e, took)
		}
		if n := value(t, registry, "sallyport_tunnel_requests_waiting"); n != 0 {
			t.Errorf("%v still wait", n)
		}
	})
}

func TestSoManyMayWaitForAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		h, _ := alone(t, time.Second, func(o *hub.Options) { o.MaxWaiting, o.Registerer = 20, registry })
		var waiting sync.WaitGroup
		for range 20 {
			waiting.Go(func() {
				if e, took := ask(t.Context(), h); e.Code != proto.CodeAgentOffline || took != 15*time.Second {
					t.Errorf("%v after %s", e, took)
				}
			})
		}
		synctest.Wait()
		if n := value(t, registry, "sallyport_tunnel_requests_waiting"); n != 20 {
			t.Errorf("%v wait", n)
		}
		e, took := ask(t.Context(), h)
		if e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent || took != 0 || e.Facts["retryAfter"] == "" ||
			!strings.Contains(e.Detail, "may wait for it wait already (20)") {
			t.Errorf("%v %v after %s", e, e.Facts, took)
		}
		waiting.Wait()
		if n := value(t, registry, "sallyport_tunnel_requests_waiting"); n != 0 {
			t.Errorf("%v still wait", n)
		}
		if e, took := ask(t.Context(), h); took != 15*time.Second {
			t.Errorf("with the queue empty again: %v after %s", e, took)
		}
		if n := value(t, registry, "sallyport_tunnel_requests_limited_total"); n != 1 {
			t.Errorf("%v met the limit", n)
		}
	})
}

// TestNobodyWaitsForWhoCanNotCome: an agent that was deleted, or a relay that
// takes no more tunnels.
func TestNobodyWaitsForWhoCanNotCome(t *testing.T) {
	for _, c := range []struct {
		name, words string
		end         func(*hub.Hub, *roll)
	}{
		{"deleted", "since the agent was deleted", func(h *hub.Hub, r *roll) {
			r.mu.Lock()
			r.revoked = true
			r.mu.Unlock()
			h.Disconnect("agt_1", "", "the agent was deleted")
		}},
		{"its last machine was removed", "since its enrolment was removed", func(h *hub.Hub, r *roll) {
			r.mu.Lock()
			r.revoked = true
			r.mu.Unlock()
			h.Disconnect("agt_1", "ins_1", "its enrolment was removed")
		}},
		{"the relay stops", "since this relay is about to stop", func(h *hub.Hub, _ *roll) { h.Leave() }},
		{"the relay drains", "since this relay is about to stop", func(h *hub.Hub, _ *roll) { _ = h.Drain(context.Background()) }},
		{"the hub is closed", "since this relay is about to stop", func(h *hub.Hub, _ *roll) { _ = h.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := alone(t, time.Second, nil)
				time.AfterFunc(time.Second, func() { c.end(h, r) })
				e, took := ask(t.Context(), h)
				if e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent || took != time.Second || !strings.Contains(e.Detail, c.words) {
					t.Errorf("%v after %s", e, took)
				}
				if e, took := ask(t.Context(), h); e.Code != proto.CodeAgentOffline || took != 0 {
					t.Errorf("the next one: %v after %s", e, took)
				}
			})
		})
	}
	t.Run("not its last machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := alone(t, time.Second, nil)
			time.AfterFunc(time.Second, func() { h.Disconnect("agt_1", "ins_2", "its enrolment was removed") })
			if e, took := ask(t.Context(), h); took != 15*time.Second {
				t.Errorf("%v after %s", e, took)
			}
		})
	})
}

// TestBodyOfAHeldRequestIsNotTouched: whoever gave it up may use it again.
func TestBodyOfAHeldRequestIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := alone(t, time.Second, nil)
		body := strings.NewReader("not read")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://erp/", io.MultiReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Road("agt_1").RoundTrip(req); proto.AsError(err) == nil || body.Len() != len("not read") {
			t.Errorf("%v, %d bytes are left", err, body.Len())
		}
	})
}

// value is the sum of a metric over its labels.
func value(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// TestHeldWhileTheDirectoryHangs: the agent may be about to come, for all that is
// known, and each question to the directory is given up after a second.
func TestHeldWhileTheDirectoryHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := alone(t, time.Second, nil)
		r.hangs = true
		for i := range 2 {
			e, took := ask(t.Context(), h, proto.HeaderWait, "7000")
			if e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent || e.Timing == nil || e.Timing.Held != 7*time.Second {
				t.Fatalf("%d: %+v", i, e)
			}
			if !strings.Contains(e.Detail, "The agent is not connected to this relay.") || !strings.Contains(e.Detail, "held for 7s") {
				t.Errorf("%d: said: %s", i, e.Detail)
			}
			if took != (1+7+1)*time.Second { // it is asked before and after
				t.Errorf("%d: it took %s", i, took)
			}
			time.Sleep(10 * time.Second)
		}
		r.mu.Lock()
		r.hangs = false
		r.mu.Unlock()
		if e, _ := ask(t.Context(), h, proto.HeaderWait, "1000"); e == nil || e.Facts["agent"] != "Plant 2" {
			t.Errorf("once it answers again: %+v", e)
		}
	})
}

func TestManyDoNotEachAskADirectoryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := alone(t, time.Second, nil)
		r.hangs = true
		if _, took := ask(t.Context(), h, proto.HeaderWait, "0"); took > 2*time.Second {
			t.Errorf("the first took %s", took)
		}
		asked := r.asked
		for range 10 {
			if e, took := ask(t.Context(), h, proto.HeaderWait, "0"); took != 0 || e.Code != proto.CodeAgentOffline {
				t.Errorf("the next took %s, %v", took, e)
			}
		}
		if r.asked != asked {
			t.Errorf("it was asked %d times more", r.asked-asked)
		}
	})
}

// TestRelayThatHoldsTheAgentIsNamedThoughNoWayLeadsThere: to a relay that takes no
// part among the others, an agent at another one is no agent that is offline.
func TestRelayThatHoldsTheAgentIsNamedThoughNoWayLeadsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := alone(t, time.Second, nil)
		r.heldBy = "rly_b"
		e, took := ask(t.Context(), h, proto.HeaderWait, "1500")
		if took != 1500*time.Millisecond { // it may still come here
			t.Errorf("it took %s", took)
		}
		if e.Code != proto.CodeAgentOffline || e.Reason != hub.ReasonRelayUnreachable || e.Facts["relay"] != "rly_b" || !strings.Contains(e.Hint, "peer-listen") ||
			!strings.HasPrefix(e.Detail, `The agent "Plant 2" is connected to another relay, rly_b, which this one does not reach.`) {
			t.Errorf("said: %s %s (%v)", e.Detail, e.Hint, e.Facts)
		}
		r.heldBy = ""
		time.Sleep(10 * time.Second)
		if e, _ := ask(t.Context(), h, proto.HeaderWait, "0"); e.Reason != "" || !strings.Contains(e.Detail, "is offline") {
			t.Errorf("once it is nowhere: %s", e.Detail)
		}
	})
}
