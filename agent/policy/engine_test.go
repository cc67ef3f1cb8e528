package policy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// site is an application, reached the way of the agent: an engine before
// internal/outbound, with a name server of its own.
type site struct {
	t         *testing.T
	app       *httptest.Server
	port      string
	engine    *Engine
	transport http.RoundTripper
	requests  atomic.Int32 // that reached the application
	opened    atomic.Int32 // connections to it
	lookups   atomic.Int32
	addresses atomic.Pointer[func() []string] // of every name
	clock     time.Time
}

func newSite(t *testing.T, rules string) *site {
	t.Helper()
	s := &site{t: t, clock: time.Now()}
	s.resolve(func() []string { return []string{"127.0.0.1"} })
	s.app = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	s.app.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.opened.Add(1)
		}
	}
	s.app.Start()
	t.Cleanup(s.app.Close)
	_, s.port, _ = net.SplitHostPort(s.app.Listener.Addr().String())
	resolver := testkit.Resolver(t, func(q dnsmessage.Question) (dnsmessage.RCode, []string) {
		s.lookups.Add(1)
		if q.Type != dnsmessage.TypeA {
			return dnsmessage.RCodeSuccess, nil
		}
		return dnsmessage.RCodeSuccess, (*s.addresses.Load())()
	})
	s.engine = NewEngine(policyOf(t, strings.ReplaceAll(rules, "PORT", s.port)), Options{Resolver: resolver, Clock: func() time.Time { return s.clock }})
	target := outbound.New(outbound.Options{Resolver: resolver})
	t.Cleanup(target.Close)
	s.transport = s.engine.Wrap(target)
	return s
}

// resolve sets the addresses of every name.
func (s *site) resolve(addresses func() []string) { s.addresses.Store(&addresses) }

// send sends a request; its error is nil, or a *proto.Error.
func (s *site) send(line string, body io.Reader) *proto.Error {
	s.t.Helper()
	method, target, _ := strings.Cut(strings.ReplaceAll(line, "PORT", s.port), " ")
	req, err := http.NewRequestWithContext(s.t.Context(), method, target, body)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.transport.RoundTrip(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	var e *proto.Error
	if err != nil && !errors.As(err, &e) {
		s.t.Fatalf("%T: %v", err, err)
	}
	return e
}

func (s *site) wantRefused(line string, code proto.Code, reason proto.Reason) *proto.Error {
	s.t.Helper()
	before := s.requests.Load()
	e := s.send(line, nil)
	if e == nil || e.Code != code || e.Reason != reason || e.Outcome != proto.OutcomeNotSent {
		s.t.Fatalf("%s: %+v, want %s for %s", line, e, code, reason)
	}
	if s.requests.Load() != before {
		s.t.Fatalf("%s: it reached the application", line)
	}
	return e
}

func (s *site) wantServed(line string) {
	s.t.Helper()
	before := s.requests.Load()
	if e := s.send(line, nil); e != nil {
		s.t.Fatalf("%s: %+v", line, e)
	}
	if s.requests.Load() != before+1 {
		s.t.Fatalf("%s: it did not reach the application", line)
	}
}

func TestRefusedByNameIsNotEvenLookedUp(t *testing.T) {
	s := newSite(t, "deny * *://erp.test/admin/**\nallow GET http://erp.test:PORT")
	s.wantRefused("GET http://other.test:PORT/", proto.CodePolicyDenied, proto.ReasonNoRule)
	s.wantRefused("POST http://erp.test:PORT/x", proto.CodePolicyDenied, proto.ReasonNoRule)
	e := s.wantRefused("GET http://erp.test:PORT/admin/x", proto.CodePolicyDenied, proto.ReasonDenyRule)
	if s.lookups.Load() != 0 || s.opened.Load() != 0 {
		t.Errorf("%d look-ups, %d connections", s.lookups.Load(), s.opened.Load())
	}
	if e.Facts["rule"] != "deny * *://erp.test/admin/**" || e.Facts["ruleLine"] != "10" || !strings.Contains(e.Detail, "line 10") || !strings.Contains(e.Hint, "above rule 1 (line 10)") {
		t.Errorf("%+v", e)
	}
	s.wantServed("GET http://erp.test:PORT/x")
}

// A name whose address changes between look-ups leads nowhere: what is judged
// is the address that is connected to.
func TestRebindingGetsRoundNoRule(t *testing.T) {
	s := newSite(t, "allow GET http://[203.0.113.0/24]:PORT rate=1000/s\nallow GET http://rebind.test:PORT\ndeny * *://127.0.0.0/8")
	s.resolve(func() []string {
		if s.lookups.Load() <= 2 { // the policy's own, for the limit: A and AAAA
			return []string{"203.0.113.7"}
		}
		return []string{"127.0.0.1"}
	})
	e := s.wantRefused("GET http://rebind.test:PORT/", proto.CodePolicyDenied, proto.ReasonDenyRule)
	if e.Facts["address"] != "127.0.0.1" || !strings.Contains(e.Detail, "127.0.0.1, an address of rebind.test") || s.opened.Load() != 0 {
		t.Errorf("%+v, %d connections", e, s.opened.Load())
	}
}

// A connection that one request was allowed to open is of no use to another
// that would not have been.
func TestKeptConnectionsAreJudgedToo(t *testing.T) {
	s := newSite(t, "allow GET http://erp.test:PORT\nallow POST http://erp.test:PORT\ndeny POST *://127.0.0.0/8\ndeny GET *://[127.0.0.0/8]/secret/**")
	s.wantServed("GET http://erp.test:PORT/a")
	s.wantServed("GET http://erp.test:PORT/b")
	if s.opened.Load() != 1 {
		t.Errorf("%d connections were opened", s.opened.Load())
	}
	s.wantRefused("POST http://erp.test:PORT/a", proto.CodePolicyDenied, proto.ReasonDenyRule)
	s.wantRefused("GET http://erp.test:PORT/secret/x", proto.CodePolicyDenied, proto.ReasonDenyRule)
	s.wantServed("GET http://erp.test:PORT/c")
	if s.opened.Load() != 1 {
		t.Errorf("%d connections were opened", s.opened.Load())
	}
	// Nor after the policy has changed, though the name is still allowed.
	s.engine.Replace(policyOf(t, "allow GET http://erp.test:"+s.port+"\ndeny * *://127.0.0.1"))
	s.wantRefused("GET http://erp.test:PORT/a", proto.CodePolicyDenied, proto.ReasonDenyRule)
	s.engine.Replace(policyOf(t, "allow GET http://erp.test:"+s.port))
	s.wantServed("GET http://erp.test:PORT/a")
}

// Package relay/road follows redirects; each hop comes down as a request.
func TestRedirectIsARequestOfItsOwn(t *testing.T) {
	s := newSite(t, "allow GET http://erp.test:PORT/start")
	client := &http.Client{Transport: s.transport}
	s.app.Config.Handler = http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound)
	_, err := client.Get("http://erp.test:" + s.port + "/start")
	if e := proto.AsError(err); e == nil || e.Code != proto.CodePolicyDenied {
		t.Errorf("got %v", err)
	}
}

func TestWithoutRulesLoopbackIsReachedAndMetadataIsNot(t *testing.T) {
	s := newSite(t, "")
	s.wantServed("GET http://127.0.0.1:PORT/")
	s.wantServed("GET http://erp.test:PORT/")
	s.wantRefused("GET http://169.254.169.254/latest/meta-data/", proto.CodePolicyDenied, proto.ReasonGuarded)
	s.wantRefused("GET http://metadata.google.internal/", proto.CodePolicyDenied, proto.ReasonGuarded)
	s.resolve(func() []string { return []string{"169.254.169.254"} })
	e := s.wantRefused("GET http://innocent.test:PORT/", proto.CodePolicyDenied, proto.ReasonGuarded)
	if e.Facts["address"] != "169.254.169.254" || e.Facts["line"] != "allow GET http://169.254.169.254:"+s.port+"/" {
		t.Errorf("%+v", e)
	}
}

func TestRateIsThatOfTheRuleThatAllows(t *testing.T) {
	for name, rules := range map[string]string{
		"by name":    "allow POST http://erp.test:PORT\nallow GET http://erp.test:PORT rate=2/m",
		"by network": "allow POST http://erp.test:PORT\nallow GET http://[10.0.0.0/8]:PORT rate=1/h\nallow GET http://[127.0.0.0/8]:PORT rate=2/m",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rules)
			s.wantServed("GET http://erp.test:PORT/")
			s.wantServed("GET http://erp.test:PORT/")
			e := s.wantRefused("GET http://erp.test:PORT/", proto.CodeTooManyRequests, proto.ReasonRuleRate)
			if e.Facts["retryAfter"] != "30" || !strings.Contains(e.Detail, "2 such requests per minute") {
				t.Errorf("%+v", e)
			}
			s.wantServed("POST http://erp.test:PORT/")
			s.engine.Replace(policyOf(t, "deny PUT *://*\n"+strings.ReplaceAll(rules, "PORT", s.port))) // a change elsewhere
			s.wantRefused("GET http://erp.test:PORT/", proto.CodeTooManyRequests, proto.ReasonRuleRate)
			s.clock = s.clock.Add(30 * time.Second)
			s.wantServed("GET http://erp.test:PORT/")
			s.wantRefused("GET http://erp.test:PORT/", proto.CodeTooManyRequests, proto.ReasonRuleRate)
		})
	}
}

func TestBodyIsBounded(t *testing.T) {
	s := newSite(t, "allow * http://erp.test:PORT body=1KB")
	for size, want := range map[int]bool{0: true, 999: true, 1000: true, 1001: false, 100_000: false} {
		for _, known := range []bool{true, false} {
			var body io.Reader = bytes.NewReader(make([]byte, size))
			if !known {
				body = struct{ io.Reader }{body}
			}
			e := s.send("POST http://erp.test:PORT/", body)
			if (e == nil) != want {
				t.Errorf("%d bytes, length known: %v: %+v", size, known, e)
			}
			if e == nil {
				continue
			}
			// What is cut in the middle was begun; net/http may have held all of it back.
			if e.Code != proto.CodeTooLarge || e.Reason != proto.ReasonRuleBody || known && e.Outcome != proto.OutcomeNotSent || e.Outcome == proto.OutcomeSent || e.Outcome == "" {
				t.Errorf("%d bytes, length known: %v: %+v", size, known, e)
			}
		}
	}
	if e := s.send("POST http://erp.test:PORT/", struct{ io.Reader }{io.MultiReader(strings.NewReader(strings.Repeat("x", 900)), strings.NewReader(strings.Repeat("y", 1<<20)))}); e == nil || e.Outcome != proto.OutcomeUnknown {
		t.Errorf("%+v", e)
	}
}

// Where a proxy connects, the name decides: the proxy is not the target.
func TestBehindAProxyTheNameDecides(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	choose := func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	target := outbound.New(outbound.Options{Proxy: choose})
	defer target.Close()
	engine := NewEngine(policyOf(t, "allow GET http://erp.test\nallow GET http://10.0.0.0/8\ndeny * *://127.0.0.0/8"), Options{Proxy: choose, Resolver: &net.Resolver{}})
	for line, want := range map[string]bool{
		"GET http://erp.test/":        true,
		"GET http://10.1.2.3/":        true,
		"GET http://other.test/":      false, // its address may be in 10.0.0.0/8: the proxy alone knows
		"GET http://127.0.0.1/":       false,
		"GET http://169.254.169.254/": false,
	} {
		asked.Store(0)
		resp, err := engine.Wrap(target).RoundTrip(ask(t, line))
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != want || (asked.Load() == 1) != want {
			t.Errorf("%s: %v; the proxy was asked %d times", line, err, asked.Load())
		}
	}
}

func TestRuleThatAllowsIsTold(t *testing.T) {
	var told []string
	s := newSite(t, "allow GET http://erp.test:PORT\nallow POST http://[127.0.0.0/8]:PORT\ndefault allow")
	s.engine.opts.Allowed = func(ctx context.Context, rule string) {
		if ctx.Value(toldKey{}) != nil {
			told = append(told, strings.Fields(rule)[1])
		}
	}
	for _, line := range []string{"GET http://erp.test:", "POST http://erp.test:", "PUT http://erp.test:", "POST http://127.0.0.1:"} {
		req := ask(t, line+s.port)
		resp, err := s.transport.RoundTrip(req.WithContext(context.WithValue(t.Context(), toldKey{}, true)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if got := strings.Join(told, " "); got != "GET POST POST" {
		t.Errorf("told of %s", got)
	}
}

type toldKey struct{}

func TestRefusedRequestsBodyIsClosed(t *testing.T) {
	body := &closed{}
	req := ask(t, "POST http://erp.test/")
	req.Body = body
	if _, err := NewEngine(policyOf(t, "default deny"), Options{}).Wrap(http.DefaultTransport).RoundTrip(req); err == nil || !body.done {
		t.Errorf("%v, closed %v", err, body.done)
	}
}

type closed struct {
	io.Reader
	done bool
}

func (c *closed) Close() error { c.done = true; return nil }
