package policy

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/proto"
)

// plainly is the decision told in the plainest way: for one address, no bits.
func plainly(p *Policy, req *http.Request, addr netip.Addr) bool {
	var a asked
	a.ask(req)
	byName, allowed := (*Rule)(nil), p.allow
	for _, r := range p.rules {
		if r.concerns(&a) && !r.host.byAddress() && r.host.matchesName(&a) {
			byName, allowed = r, !r.deny
			break
		}
	}
	for _, r := range p.rules {
		if !r.concerns(&a) || !r.host.byAddress() || !r.host.network.Contains(addr) {
			continue
		}
		if byName != nil && byName.deny && r.number > byName.number {
			break
		}
		return !r.deny
	}
	return allowed
}

// drawPolicy draws rules of which many are about loopback and a.test, b.test.
func drawPolicy(t *rapid.T, port string) *Policy {
	rule := rapid.Custom(func(t *rapid.T) string {
		pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
		return pick("action", "allow", "deny") + " " + pick("methods", "*", "GET", "POST", "GET,POST") + " " + pick("scheme", "*", "http", "https") + "://" +
			pick("host", "*", "a.test", "b.test", "*.test", "127.0.0.0/8", "127.0.0.1", "127.0.0.2", "127.0.0.0/31", "10.0.0.0/8") + ":" + pick("port", "*", port, "1") +
			pick("path", "", "", "/x/**", "/*/y")
	})
	s := Source{Default: rapid.SampledFrom([]string{"", "", "allow", "deny"}).Draw(t, "default")}
	for _, text := range rapid.SliceOfN(rule, 0, 8).Draw(t, "rules") {
		s.Rules = append(s.Rules, Line{Text: text})
	}
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Over real sockets: requests of all kinds share one transport and its kept
// connections, the rules change between them, and none gets where the plain
// reading of the rules does not let it.
func TestDeniedAddressIsNeverDialled(t *testing.T) {
	s := newSite(t, "")
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPolicy(rt, s.port)
		s.engine.Replace(p)
		for range 4 {
			address := rapid.SampledFrom([]string{"127.0.0.1", "127.0.0.1", "127.0.0.2"}).Draw(rt, "address")
			s.resolve(func() []string { return []string{address} })
			host := rapid.SampledFrom([]string{"a.test", "b.test", "127.0.0.1"}).Draw(rt, "host")
			req := ask(t, rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(rt, "method")+" http://"+host+":"+s.port+rapid.SampledFrom([]string{"/", "/x/y", "/z/y"}).Draw(rt, "path"))
			before := s.requests.Load()
			resp, err := s.transport.RoundTrip(req)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			// A kept connection leads to 127.0.0.1, whatever the name is by now.
			reached := s.requests.Load() > before
			if want := plainly(p, req, netip.MustParseAddr("127.0.0.1")); reached && !want {
				rt.Fatalf("%s reached the application under\n%s", req.URL, p)
			} else if e := proto.AsError(err); !reached && want && address == "127.0.0.1" {
				rt.Fatalf("%s %s did not reach the application: %v, under\n%s", req.Method, req.URL, e, p)
			}
		}
	})
}

// Requests of one class get one verdict on every address, whatever else differs.
func TestClassStandsForTheVerdictOnEveryAddress(t *testing.T) {
	addresses := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("169.254.169.254")}
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPolicy(rt, "80")
		verdicts := map[[4]uint64]string{}
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, host := range []string{"a.test", "b.test", "c.test.x"} {
				for _, rest := range []string{"/", "/x/y", "/z/y"} {
					var a asked
					a.ask(ask(t, method+" http://"+host+rest))
					d := p.decide(&a)
					got := ""
					for _, addr := range addresses {
						got += fmt.Sprint(d.at(addr).allowed, " ")
					}
					if want, known := verdicts[d.applies]; known && got != want {
						rt.Fatalf("%s %s%s: %s, another of its class: %s, under\n%s", method, host, rest, got, want, p)
					}
					verdicts[d.applies] = got
				}
			}
		}
	})
}

// leniently is a path as an application might read it that decodes all it can,
// takes backslashes for slashes, drops parameters, and minds no case.
func leniently(escaped string) string {
	s := strings.ReplaceAll(deepDecode(escaped), "\\", "/")
	var parts []string
	for part := range strings.SplitSeq(s, "/") {
		part, _, _ = strings.Cut(part, ";")
		parts = append(parts, part)
	}
	return strings.ToLower(path.Clean("/" + strings.Join(parts, "/")))
}

// literally is a path as an application might read it that decodes once.
func literally(u *url.URL) string { return path.Clean("/" + u.Path) }

func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func FuzzPathMatching(f *testing.F) {
	for _, p := range []string{"/admin", "/api/x", "/api/../admin", "/api/%2e%2e/admin", "/api%2f..%5cadmin", "/api/..;/admin", "/%61dmin", "/a%252fdmin", "//api//x;y", "/api/%c0%ae"} {
		f.Add(p)
	}
	deny := policyOf(f, "deny * http://erp.test/admin/**\nallow * http://erp.test")
	allow := policyOf(f, "allow * http://erp.test/api/**")
	addr := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, p string) {
		u, err := url.ParseRequestURI("http://erp.test/" + strings.TrimPrefix(p, "/"))
		if err != nil {
			return
		}
		if u.Host != "erp.test" {
			return
		}
		req := &http.Request{Method: "GET", URL: u, Header: http.Header{}}
		verdictOf := func(p *Policy) bool {
			var a asked
			a.ask(req)
			d := p.decide(&a)
			return d.at(addr).allowed
		}
		lenient, literal := leniently(u.EscapedPath()), literally(u)
		if verdictOf(deny) && (within(lenient, "/admin") || within(strings.ToLower(literal), "/admin")) {
			t.Errorf("%q got round the deny rule", u.EscapedPath())
		}
		if verdictOf(allow) && (!within(lenient, "/api") || !within(literal, "/api") && !strings.ContainsAny(literal, ";")) {
			t.Errorf("%q is allowed as %q, %q", u.EscapedPath(), lenient, literal)
		}
	})
}

// hundredRules are of every kind; the last is the one that matches.
func hundredRules(b *testing.B) *Policy {
	var text strings.Builder
	for i := range 33 {
		fmt.Fprintf(&text, "allow GET,POST https://app%d.plant2.internal:8443/api/v1/*/orders/**\ndeny * *://10.%d.0.0/16:22\nallow GET https://*.site%d.internal\n", i, i, i)
	}
	text.WriteString("allow GET https://erp.plant2.internal/api/**")
	return policyOf(b, text.String())
}

func BenchmarkDecision(b *testing.B) {
	p, req, addr := hundredRules(b), ask(b, "GET https://erp.plant2.internal/api/orders/4711/items"), netip.MustParseAddr("10.99.1.2")
	b.ReportAllocs()
	for b.Loop() {
		var a asked
		a.ask(req)
		d := p.decide(&a)
		if !d.at(addr).allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkWrap(b *testing.B) {
	engine := NewEngine(hundredRules(b), Options{})
	answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	transport := engine.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return answer, nil }))
	req := ask(b, "GET https://erp.plant2.internal/api/orders/4711/items")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transport.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Where rules allow and the path is plain, deciding allocates its own judgement
// and what carries it, and nothing for each rule.
func TestAllowingAllocatesLittle(t *testing.T) {
	p := policyOf(t, strings.Repeat("deny * *://10.66.0.0/16\nallow GET https://other.test/**\n", 40)+"allow GET https://erp.test/api/**")
	answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	transport := NewEngine(p, Options{}).Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return answer, nil }))
	req := ask(t, "GET https://erp.test/api/orders/4711")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := transport.RoundTrip(req); err != nil {
			t.Error(err)
		}
	}); n > 5 { // the judgement, the context, the request
		t.Errorf("%v allocations", n)
	}
}
