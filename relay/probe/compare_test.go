package probe

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/outbound"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/session"
)

// sites are several places: each agent's network has a road of its own.
type sites struct {
	roads  map[string]http.RoundTripper // by agent; "": the cloud
	online map[string]bool
}

func (s sites) For(c *connection.Connection) http.RoundTripper { return s.roads[c.AgentID] }

func (s sites) Instances(agentID string) []hub.Instance {
	if s.online[agentID] {
		return []hub.Instance{{ID: "ins_" + agentID, Hostname: "host-" + agentID}}
	}
	return nil
}

func (s sites) prober(t *testing.T) *Prober {
	keeper := session.NewKeeper(session.Options{Store: &memory{saved: map[string]session.Session{}}, NewID: func() string { return "ses_1" }, Clock: time.Now})
	t.Cleanup(keeper.Close)
	return New(Options{Roads: s, Sessions: keeper, Presence: s})
}

func transport(t *testing.T, o outbound.Options) http.RoundTripper {
	tr := outbound.New(o)
	t.Cleanup(tr.Close)
	return tr
}

// farAway is a network in which the same address is a closed port.
type farAway struct {
	rt http.RoundTripper
	to string
}

func (f farAway) RoundTrip(r *http.Request) (*http.Response, error) {
	moved := r.Clone(r.Context())
	moved.URL.Host = f.to
	return f.rt.RoundTrip(moved)
}

func placesOf(ids ...string) []Place {
	places := []Place{{Mode: connection.Cloud, Name: "Cloud"}}
	for _, id := range ids {
		places = append(places, Place{Mode: connection.OnPremise, AgentID: id, Name: "Site " + id})
	}
	return places
}

func TestComparingTellsWhoReachesTheApplicationAndSendsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var got []string
	a := workingApp()
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, fmt.Sprint(r.Method, " ", r.URL.RequestURI(), " ", r.Header))
		mu.Unlock()
		w.Header().Set("Server", "ERP/7")
		a.ServeHTTP(w, r)
	}))
	s := sites{online: map[string]bool{"a": true, "c": true}, roads: map[string]http.RoundTripper{
		"": transport(t, outbound.Options{Guard: true}), "a": transport(t, outbound.Options{}), "b": nil,
		"c": farAway{transport(t, outbound.Options{}), closedPort(t)},
	}}
	c := to(base)
	c.Headers = []connection.Header{{Name: "X-Key", Value: "k-{{secret.password}}"}}
	c.Ping.URI = "/me?key={{secret.password}}"
	c.Spec = connection.Defaults(c.Spec)
	var began, ended int
	result := s.prober(t).Compare(t.Context(), c, placesOf("a", "b", "c"), false, "req-1", func(_ int, r Reach) {
		if r.Status == Running {
			began++
		} else {
			ended++
		}
	})
	var lines []string
	for _, r := range result.Places {
		lines = append(lines, fmt.Sprintf("%s %s %v %d %s %s", r.Name, r.Status, r.Reached, r.HTTPStatus, r.FailedStep, r.Code))
		if r.Reached && (r.Server != "ERP/7" || r.LatencyMs <= 0) || !r.Reached && r.Hint == "" {
			t.Errorf("%+v", r)
		}
	}
	want := []string{"Cloud failed false 0 reach address_forbidden", "Site a ok true 401  ", "Site b failed false 0 agent agent_offline", "Site c failed false 0 reach target_refused"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if began != 4 || ended != 4 {
		t.Errorf("told of %d beginnings and %d ends", began, ended)
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], "GET /api/me ") || strings.Contains(got[0], "Key") || strings.Contains(got[0], "p%22") {
		t.Errorf("sent: %q", got)
	}
}

func TestComparingWithASignInEndsWithTheFirstThatIsRefused(t *testing.T) {
	var signIns atomic.Int32
	a := workingApp()
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			signIns.Add(1)
		}
		a.ServeHTTP(w, r)
	}))
	open := transport(t, outbound.Options{})
	s := sites{online: map[string]bool{"a": true, "b": true, "c": true}, roads: map[string]http.RoundTripper{
		"": open, "a": farAway{open, closedPort(t)}, "b": open, "c": open}}
	c := to(base)
	c.Spec = connection.Defaults(c.Spec)
	result := s.prober(t).Compare(t.Context(), c, placesOf("a", "b", "c"), true, "req-1", nil)
	for i, want := range []Status{OK, Failed, OK, OK} {
		if r := result.Places[i]; r.Status != want || want == OK && !strings.Contains(r.Message, "true") {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	if n := signIns.Swap(0); n != 3 {
		t.Errorf("%d sign-ins", n)
	}

	c.Secrets["password"] = "wrong"
	result = s.prober(t).Compare(t.Context(), c, placesOf("a", "b", "c"), true, "req-1", nil)
	for i, want := range []Status{Failed, Failed, Skipped, Skipped} {
		if r := result.Places[i]; r.Status != want || want == Skipped && !strings.Contains(r.Message, "lock the account") || i != 1 && !r.Reached {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	if n := signIns.Load(); n != 1 {
		t.Errorf("%d sign-ins with a wrong password", n)
	}

	// Credentials that go with each request are no different.
	var tries atomic.Int32
	c = to(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			tries.Add(1)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})))
	c.Auth = connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: "{{secret.password}}"}}
	c.Spec = connection.Defaults(c.Spec)
	result = s.prober(t).Compare(t.Context(), c, placesOf("b", "c"), true, "req-1", nil)
	if n := tries.Load(); n != 1 || result.Places[0].Status != Failed || result.Places[1].Status != Skipped || result.Places[2].Status != Skipped {
		t.Errorf("%d tries: %+v", n, result.Places)
	}
}

func TestFewPlacesAreAskedAtOnce(t *testing.T) {
	var now, most atomic.Int32
	release := make(chan struct{})
	var full sync.Once
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == reachersAtOnce {
			full.Do(func() { close(release) }) // as many as may be are here
		}
		<-release
		now.Add(-1)
	}))
	s := sites{online: map[string]bool{}, roads: map[string]http.RoundTripper{"": transport(t, outbound.Options{})}}
	var ids []string
	for i := range 80 {
		id := fmt.Sprint(i)
		ids, s.online[id], s.roads[id] = append(ids, id), true, s.roads[""]
	}
	c := to(base)
	c.Spec = connection.Defaults(c.Spec)
	result := s.prober(t).Compare(t.Context(), c, placesOf(ids...), false, "req-1", nil)
	if len(result.Places) != MaxPlaces || most.Load() > reachersAtOnce {
		t.Errorf("%d places, %d at once", len(result.Places), most.Load())
	}
	for _, r := range result.Places {
		if !r.Reached {
			t.Errorf("%+v", r)
		}
	}
}
