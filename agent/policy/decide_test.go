package policy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"sallyport/proto"
)

// policyOf makes a policy of rules, one a line; a line "default allow" or
// "default deny" sets the default.
func policyOf(t testing.TB, text string) *Policy {
	t.Helper()
	var s Source
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		if word, ok := strings.CutPrefix(line, "default "); ok {
			s.Default = word
		} else if line != "" {
			s.Rules = append(s.Rules, Line{line, i + 10})
		}
	}
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(t testing.TB, line string, header ...string) *http.Request {
	t.Helper()
	method, url, _ := strings.Cut(line, " ")
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// explain decides on a request whose name has the given addresses.
func explain(t testing.TB, p *Policy, req *http.Request, addresses ...string) *Explanation {
	t.Helper()
	x, err := p.Explain(req, false, func(string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, s := range addresses {
			out = append(out, netip.MustParseAddr(s))
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestFirstRuleThatMatchesDecides(t *testing.T) {
	p := policyOf(t, `
		allow GET https://erp.test/api/**
		deny DELETE https://erp.test/api/**
		allow * https://erp.test:443,8443/api/orders/*
		deny * https://erp.test/api/admin/**
		allow POST https://*.plant2.test
		allow * http://[10.1.0.0/16]/metrics
		allow PUT *://**.far.test:1-1023/x-*.json`)
	for line, want := range map[string]int{ // the rule, below 0: denied, 0: denied by none
		"GET https://erp.test/api/a":              1,
		"HEAD https://erp.test/api/a":             1,
		"GET https://erp.test/api":                1,
		"GET https://erp.test/api/":               1,
		"GET https://ERP.test./api/a?b=/../c":     1,
		"GET https://erp.test:443/api/a":          1,
		"GET https://erp.test/api/admin/x":        1,
		"GET https://erp.test/apis":               0,
		"GET https://erp.test/API/a":              0, // an allow rule minds case
		"get https://erp.test/api/a":              0,
		"DELETE https://erp.test/api/a":           -2,
		"delete https://erp.test/API/a":           -2, // a deny rule doesn't
		"POST https://erp.test/api/orders/1":      3,
		"POST https://erp.test:8443/api/orders/1": 3,
		"POST https://erp.test/api/orders":        0,
		"POST https://erp.test/api/orders/1/2":    0,
		"POST http://erp.test/api/orders/1":       0,
		"POST https://erp.test:9443/api/orders/1": 0,
		"POST https://erp.test/api/Admin/x":       -4,
		"POST https://erp.test:9/api/admin":       -4, // a deny rule without a port is about all
		"POST https://a.plant2.test/x":            5,
		"POST https://a.b.plant2.test/x":          0,
		"POST https://plant2.test/x":              0,
		"GET http://10.1.2.3/metrics":             6,
		"GET http://10.2.2.3/metrics":             0,
		"GET http://[::ffff:10.1.2.3]/metrics":    6,
		"PUT http://a.b.far.test:99/x-1.json":     7,
		"PUT http://far.test:99/x-1.json":         0,
		"PUT https://a.far.test/x-.json":          7,
		"PUT https://a.far.test:8443/x-1.json":    0,
	} {
		x := explain(t, p, ask(t, line), "192.0.2.1")
		got := x.DecidedBy
		if !x.Allowed {
			got = -got
		}
		if got != want || x.Allowed != (want > 0) {
			t.Errorf("%s: decided by %d, want %d: %+v", line, got, want, x.Refusal)
		}
	}
}

func TestWithoutRulesThereIsADefault(t *testing.T) {
	for rules, want := range map[string]struct{ allowed, open bool }{
		"":                           {true, true},
		"default deny":               {false, false},
		"deny * https://other.test":  {true, true},
		"allow * https://other.test": {false, false},
		"allow * https://other.test\ndefault allow": {true, true},
		"deny * https://other.test\ndefault deny":   {false, false},
	} {
		p := policyOf(t, rules)
		if x := explain(t, p, ask(t, "GET http://127.0.0.1:8090/"), ""); x.Allowed != want.allowed || p.Open() != want.open || (p.Warning() != "") != want.open {
			t.Errorf("%q: allowed %v, open %v, warning %q", rules, x.Allowed, p.Open(), p.Warning())
		}
		if s := p.Summary(); s.Open != want.open || (s.Default == proto.PolicyAllow) != want.open || s.Version == "" {
			t.Errorf("%q: %+v", rules, s)
		}
	}
}

// What several spellings are to applications, rules must not be got round by.
func TestSpellingsOfAPathGetRoundNoRule(t *testing.T) {
	deny := policyOf(t, "deny * https://erp.test/admin/**\nallow * https://erp.test")
	for _, path := range []string{
		"/admin", "/admin/", "/admin/x", "/ADMIN/x", "//admin/x", "/admin//x", "/./admin", "/x/../admin", "/%61dmin/x", "/%2561dmin/x",
		"/admin%2Fx", "/x/%2e%2e/admin", "/x/.%2E/admin", "/x%2f..%2fadmin", "/x%5c..%5cadmin", "/admin;v=1/x", "/;x/admin", "/..;/admin", "/x/..%3Bv/admin",
		"/%252e%252e/admin", "/%c0%ae%c0%ae/admin", "/admin%00", "/admin%5cx", "/admin./x", "/admin%20/x", "/admin%2e/x", `/x\..\admin`, "/x/...%2f", "/%25252561dmin",
	} {
		if x := explain(t, deny, askPath(t, path), "192.0.2.1"); x.Allowed {
			t.Errorf("%s got round the deny rule", path)
		}
	}
	allow := policyOf(t, "allow * https://erp.test/api/**")
	for _, path := range []string{"/api/../admin", "/api/%2e%2e/admin", "/api%2f..%2fadmin", "/api/..;/admin", "/api/..%2fadmin", "/api/%252e%252e%252fadmin", `/api/x/..\..\admin`, `/api\..\..\admin`, "/api;/../x", "/api/%00", "/api/%ff"} {
		x := explain(t, allow, askPath(t, path), "192.0.2.1")
		if x.Allowed || x.Refusal.Reason != proto.ReasonAmbiguousPath || x.Refusal.Facts["line"] != "" || x.Refusal.Hint == "" {
			t.Errorf("%s: %+v", path, x.Refusal)
		}
	}
	for _, path := range []string{"/%61pi/x", "//api//x/", "/api;v=1/x;w", "/api/a.b/c..d", "/api/ü%20x", "/api/x%2Fy", "/api/100%25"} {
		if x := explain(t, allow, askPath(t, path), "192.0.2.1"); !x.Allowed {
			t.Errorf("%s: %v", path, x.Refusal)
		}
	}
	// Where no rule looks at the path, it may be any.
	if x := explain(t, policyOf(t, "allow * https://erp.test"), askPath(t, "/x/../%00"), "192.0.2.1"); !x.Allowed {
		t.Error(x.Refusal)
	}
}

// askPath asks for a path as it is, with nothing cleaned.
func askPath(t testing.TB, path string) *http.Request {
	t.Helper()
	return ask(t, "GET https://erp.test"+path)
}

func TestEncodedSlashesPassWhereEveryReadingIsAllowed(t *testing.T) {
	p := policyOf(t, "allow GET https://git.test/api/v4/**\nallow GET https://one.test/p/*")
	for line, want := range map[string]bool{
		"GET https://git.test/api/v4/projects/group%2Fproject": true,
		"GET https://git.test/api%2Fv4/projects":               false,
		"GET https://one.test/p/x":                             true,
		"GET https://one.test/p/x%2Fy":                         false,
		"GET https://one.test/p/100%25":                        true,
	} {
		x := explain(t, p, ask(t, line), "192.0.2.1")
		if x.Allowed != want {
			t.Errorf("%s: allowed %v", line, x.Allowed)
		}
	}
	if x := explain(t, p, ask(t, "GET https://one.test/p/x%2Fy"), ""); x.Refusal.Facts["line"] != "allow GET https://one.test/p/**" {
		t.Errorf("proposed %q", x.Refusal.Facts["line"])
	}
}

func TestFieldsThatOverrideMethodOrPathAreJudgedToo(t *testing.T) {
	p := policyOf(t, "deny DELETE https://erp.test\nallow GET,POST https://erp.test/api/**")
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"X-HTTP-Method-Override", "DELETE", false}, {"X-HTTP-Method", "delete", false}, {"X-Method-Override", "PUT", false}, {"X-HTTP-Method-Override", "GET", true},
		{"X-Original-URL", "/admin", false}, {"X-Rewrite-URL", "/api/x?y", true}, {"X-Original-URL", "https://erp.test/api/../admin", false}, {"X-Original-URL", "%zz", false},
	} {
		x := explain(t, p, ask(t, "POST https://erp.test/api/x", c.name, c.value), "192.0.2.1")
		if x.Allowed != c.want {
			t.Errorf("%s: %s: allowed %v: %+v", c.name, c.value, x.Allowed, x.Refusal)
		}
	}
	x := explain(t, p, ask(t, "POST https://erp.test/api/x", "X-HTTP-Method-Override", "PUT"), "")
	if want := "allow POST,PUT https://erp.test/api/x"; x.Refusal.Facts["line"] != want {
		t.Errorf("proposed %q, want %q", x.Refusal.Facts["line"], want)
	}
}

func TestAddressesOfANameAreJudged(t *testing.T) {
	for _, c := range []struct {
		name, rules, address string
		want                 int // as in TestFirstRuleThatMatchesDecides
	}{
		{"network allows a name", "allow * https://[10.0.0.0/8]", "10.9.9.9", 1},
		{"outside of it", "allow * https://[10.0.0.0/8]", "11.0.0.1", 0},
		{"a name vouches for itself only", "allow * https://erp.test\ndeny * *://10.66.0.0/16", "10.66.0.1", -2},
		{"other addresses of it will do", "allow * https://erp.test\ndeny * *://10.66.0.0/16", "10.1.0.1", 1},
		{"an exception above the network", "allow * https://erp.test\nallow * https://10.66.0.1\ndeny * *://10.66.0.0/16", "10.66.0.1", 1},
		{"an exception below it", "allow * https://erp.test\ndeny * *://10.66.0.0/16\nallow * https://10.66.0.1", "10.66.0.1", -2},
		{"network above a denied name", "allow * https://[10.0.0.0/8]\ndeny * https://erp.test", "10.0.0.1", 1},
		{"denied name above the network", "deny * https://erp.test\nallow * https://[10.0.0.0/8]", "10.0.0.1", -1},
		{"denied network, nothing else", "deny * *://10.0.0.0/8", "10.0.0.1", -1},
		{"another port of it", "deny * *://10.0.0.0/8:22", "10.0.0.1", 0},
		{"any host is a name", "allow * *://*\ndeny * *://127.0.0.0/8", "127.0.0.1", -2},
		{"0.0.0.0 is loopback", "deny * *://127.0.0.0/8", "0.0.0.0", -1},
		{":: is loopback", "deny * *://[::1]", "::", -1},
		{"IPv4 in IPv6", "deny * *://10.0.0.0/8", "::ffff:10.0.0.1", -1},
		{"NAT64", "deny * *://10.0.0.0/8", "64:ff9b::a00:1", -1},
		{"zone", "deny * *://[fe80::/10]", "fe80::1%eth0", -1},
		{"method of the rule", "allow GET https://erp.test\ndeny POST *://10.0.0.0/8", "10.0.0.1", 1},
		{"path of the rule", "allow GET https://erp.test\ndeny * https://[10.0.0.0/8]/x", "10.0.0.1", -2},
	} {
		x := explain(t, policyOf(t, c.rules), ask(t, "GET https://erp.test/x"), c.address)
		got := x.DecidedBy
		if !x.Allowed {
			got = -got
		}
		open := c.name == "another port of it"
		if got != c.want || x.Allowed != (c.want > 0 || open) {
			t.Errorf("%s: decided by %d (allowed %v), want %d: %+v", c.name, got, x.Allowed, c.want, x.Refusal)
		}
		if x.Refusal != nil && (x.Refusal.Code != proto.CodePolicyDenied || x.Refusal.Outcome != proto.OutcomeNotSent || x.Refusal.Detail == "" || x.Refusal.Hint == "") {
			t.Errorf("%s: %+v", c.name, x.Refusal)
		}
	}
}

func TestMetadataIsRefusedUnlessAllowedInSoManyWords(t *testing.T) {
	const url = "GET http://cloud.test/latest/meta-data"
	for _, c := range []struct {
		rules, address string
		want           bool
	}{
		{"", "169.254.169.254", false},
		{"", "169.254.1.1", false},
		{"", "fe80::1%eth0", false},
		{"", "fd00:ec2::254", false},
		{"", "100.100.100.200", false},
		{"", "168.63.129.16", false},
		{"", "::ffff:169.254.169.254", false},
		{"", "64:ff9b::a9fe:a9fe", false},
		{"", "2002:a9fe:a9fe::1", false},
		{"", "127.0.0.1", true},
		{"", "10.0.0.1", true},
		{"", "fd00::1", true},
		{"allow * *://*", "169.254.169.254", false},
		{"allow * http://cloud.test", "169.254.169.254", false},
		{"allow * *://0.0.0.0/0", "169.254.169.254", false},
		{"allow * *://169.254.0.0/16", "169.254.169.254", false},
		{"allow * *://169.254.0.0/16", "169.254.1.1", true},
		{"allow * *://169.254.169.254", "169.254.169.254", true},
		{"allow * *://169.254.0.0/16\nallow * *://169.254.169.254", "169.254.169.254", true},
		{"allow * *://169.254.0.0/16\ndeny * *://169.254.169.0/24\nallow * *://169.254.169.254", "169.254.169.254", false},
		{"allow * http://cloud.test\nallow GET http://[169.254.169.254]/latest/**", "169.254.169.254", true},
		{"allow * http://cloud.test\nallow GET http://[169.254.169.254]/other/**", "169.254.169.254", false},
		{"allow * *://[fd00::/8]", "fd00:ec2::254", false},
		{"allow * *://[fd00:ec2::254]", "fd00:ec2::254", true},
	} {
		x := explain(t, policyOf(t, c.rules), ask(t, url), c.address)
		if x.Allowed != c.want {
			t.Errorf("%q, %s: allowed %v", c.rules, c.address, x.Allowed)
		}
		literal := explain(t, policyOf(t, c.rules), ask(t, "GET http://"+bracketed(c.address)+"/latest/meta-data"))
		if named := strings.Contains(c.rules, "cloud.test"); !named && literal.Allowed != c.want {
			t.Errorf("%q, http://%s: allowed %v", c.rules, c.address, literal.Allowed)
		}
	}
	x := explain(t, policyOf(t, ""), ask(t, url), "169.254.169.254")
	if x.Refusal.Reason != proto.ReasonGuarded || x.Refusal.Facts["line"] != "allow GET http://[169.254.169.254]/latest/meta-data" || !strings.Contains(x.Refusal.Detail, "metadata service") {
		t.Errorf("%+v", x.Refusal)
	}
	for name, rules := range map[string]string{"metadata.google.internal": "allow * *://*", "Metadata.Google.Internal.": ""} {
		x := explain(t, policyOf(t, rules), ask(t, "GET http://"+name+"/x"), "10.0.0.1")
		if x.Allowed || !x.ByName {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if x := explain(t, policyOf(t, "allow * http://metadata.google.internal"), ask(t, "GET http://metadata.google.internal/x"), "10.0.0.1"); !x.Allowed {
		t.Errorf("%+v", x.Refusal)
	}
}

func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + strings.ReplaceAll(address, "%", "%25") + "]"
	}
	return address
}

// The line that a refusal proposes allows the request, put where it says.
func TestProposedLineAllowsTheRequest(t *testing.T) {
	for _, c := range []struct{ rules, request, address, line string }{
		{"default deny", "POST https://erp.plant2.internal:8443/api/orders/4711/items?x=1", "10.0.0.1", "allow POST https://erp.plant2.internal:8443/api/orders/*/items"},
		{"default deny", "GET http://10.1.2.3/8/x", "", "allow GET http://[10.1.2.3]/*/x"},
		{"default deny", "GET http://10.1.2.3:8080", "", "allow GET http://10.1.2.3:8080/"},
		{"default deny", "GET https://[fd00::1]:8443/a%20b", "", "allow GET https://[fd00::1]:8443/a%20b"},
		{"default deny", "GET https://bücher.test/x", "10.0.0.1", "allow GET https://xn--bcher-kva.test/x"},
		{"allow * https://erp.test\ndeny * *://10.0.0.0/8", "GET https://erp.test/x", "10.0.0.7", "allow GET https://[10.0.0.7]/x"},
		{"deny * https://erp.test/admin/**", "GET https://erp.test/admin/users/7b0e6a1c-52a7-4c7e-9d3b-1f2e3d4c5b6a", "10.0.0.1", "allow GET https://erp.test/admin/users/*"},
		{"", "GET http://169.254.169.254/latest/", "", "allow GET http://[169.254.169.254]/latest"},
		{"default deny", "GET https://odata.test/Orders(42)/Lines", "10.0.0.1", "allow GET https://odata.test/Orders(*)/Lines"},
	} {
		req := ask(t, c.request)
		x := explain(t, policyOf(t, c.rules), req, c.address)
		if x.Allowed || x.Refusal.Facts["line"] != c.line || !strings.HasSuffix(x.Refusal.Hint, c.line) {
			t.Errorf("%s: proposed %q, want %q (%v)", c.request, x.Refusal.Facts["line"], c.line, x.Refusal)
			continue
		}
		if x := explain(t, policyOf(t, c.line+"\n"+c.rules), req, c.address); !x.Allowed {
			t.Errorf("%s: %q above %q does not allow it: %v", c.request, c.line, c.rules, x.Refusal)
		}
	}
}
