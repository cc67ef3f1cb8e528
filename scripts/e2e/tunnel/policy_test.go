package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/agent/policy"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// ruled runs an agent with a policy, as its program does.
func (r *relay) ruled(rules ...string) (*policy.Engine, *site) {
	r.t.Helper()
	engine := policy.NewEngine(rulesOf(r.t, rules...), policy.Options{Resolver: net.DefaultResolver})
	transport := outbound.New(outbound.Options{})
	r.t.Cleanup(transport.Close)
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forward.New(forward.Options{Transport: engine.Wrap(transport)}).Serve, func(o *link.Options) {
		o.Announce = func() []proto.Control { return []proto.Control{engine.Policy().Summary()} }
	})
	r.awaitTunnels(2)
	return engine, s
}

func rulesOf(t *testing.T, rules ...string) *policy.Policy {
	t.Helper()
	var s policy.Source
	for i, text := range rules {
		s.Rules = append(s.Rules, policy.Line{Text: text, Number: i + 1})
	}
	p, err := policy.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyOfTheSiteDecidesBeforeAnythingIsSent(t *testing.T) {
	var reached atomic.Int32
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/api/away" {
			http.Redirect(w, r, "/admin", http.StatusFound)
		}
	})
	r := newRelay(t, false)
	engine, _ := r.ruled("allow GET "+app.URL+"/api/**", "allow POST "+app.URL+"/api/orders body=1KB rate=3/h")
	for range 2 { // the stream is kept from one request to the next
		resp, err := r.send(t.Context(), "GET", app.URL+"/api/orders", nil)
		mustRead(t, resp, err)
		_, err = r.send(t.Context(), "POST", app.URL+"/api/items", strings.NewReader("x"))
		e := wantError(t, err, proto.CodePolicyDenied, proto.OutcomeNotSent)
		if want := "allow POST " + app.URL + "/api/items"; e.Facts["line"] != want || !strings.HasSuffix(e.Hint, want) || e.Reason != proto.ReasonNoRule {
			t.Errorf("%+v", e)
		}
	}
	resp, err := r.send(t.Context(), "GET", app.URL+"/api/away", nil)
	if mustRead(t, resp, err); resp.StatusCode != http.StatusFound {
		t.Errorf("got %s", resp.Status)
	}
	_, err = r.send(t.Context(), "GET", app.URL+"/admin", nil)
	wantError(t, err, proto.CodePolicyDenied, proto.OutcomeNotSent)

	resp, err = r.send(t.Context(), "POST", app.URL+"/api/orders", strings.NewReader("small"))
	mustRead(t, resp, err)
	_, err = r.send(t.Context(), "POST", app.URL+"/api/orders", strings.NewReader(strings.Repeat("x", 2000)))
	wantError(t, err, proto.CodeTooLarge, proto.OutcomeNotSent)
	// Of unknown length: it is cut off on the way.
	_, err = r.send(t.Context(), "POST", app.URL+"/api/orders", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1<<20))})
	if e := wantError(t, err, proto.CodeTooLarge, proto.OutcomeUnknown); e.Facts["limit"] != "1000" {
		t.Errorf("%+v", e)
	}
	resp, err = r.send(t.Context(), "POST", app.URL+"/api/orders", nil)
	mustRead(t, resp, err)
	_, err = r.send(t.Context(), "POST", app.URL+"/api/orders", nil)
	if e := wantError(t, err, proto.CodeTooManyRequests, proto.OutcomeNotSent); e.Facts["retryAfter"] == "" {
		t.Errorf("%+v", e)
	}
	if n := reached.Load(); n > 6 || n < 5 { // the body that was cut may not have begun to arrive
		t.Errorf("the application was reached %d times", n)
	}

	// Rules change between requests, with no tunnel closed.
	engine.Replace(rulesOf(t, "deny * *://127.0.0.0/8", "allow GET "+app.URL))
	_, err = r.send(t.Context(), "GET", app.URL+"/api/orders", nil)
	wantError(t, err, proto.CodePolicyDenied, proto.OutcomeNotSent)
	engine.Replace(rulesOf(t))
	resp, err = r.send(t.Context(), "GET", app.URL+"/api/orders", nil)
	mustRead(t, resp, err)
	awaitIdle(t, r)
}

// The relay knows in short what the site lets through, from the first moment on
// and after each change.
func TestRelayIsToldOfThePolicy(t *testing.T) {
	r := newRelay(t, false)
	engine, s := r.ruled()
	await := func(open bool) {
		t.Helper()
		want := *engine.Policy().Summary()
		testkit.Eventually(t, patience, "the relay knows of the policy", func() error {
			in := r.hub.Instances("agt_1")
			if len(in) != 1 || in[0].Policy == nil {
				return errors.New("it knows nothing")
			}
			if got := *in[0].Policy; got != want || got.Open != open {
				return fmt.Errorf("it knows %+v, not %+v", got, want)
			}
			return nil
		})
	}
	await(true)
	engine.Replace(rulesOf(t, "allow GET https://erp.test"))
	s.link.Tell(engine.Policy().Summary())
	await(false)
}
