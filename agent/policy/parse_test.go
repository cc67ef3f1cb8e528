package policy

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRulesHaveOneCanonicalForm(t *testing.T) {
	for text, want := range map[string]string{
		"allow GET,POST https://erp.plant2.internal:8443/api/** rate=50/s body=10MB": "",
		"deny * *://10.0.0.0/8:22":                                        "",
		"  allow\tget,get,head  HTTPS://ERP.Plant2.internal.:443/API/*  ": "allow GET https://erp.plant2.internal/API/*",
		"allow https://erp.test":                                          "allow * https://erp.test",
		"allow PURGE,DELETE,PATCH,PUT,POST *://x":                         "allow POST,PUT,PATCH,DELETE,PURGE *://x",
		"allow * http://erp.test:80":                                      "allow * http://erp.test",
		"allow * *://erp.test:80":                                         "",
		"deny * http://erp.test:80":                                       "",
		"deny * http://erp.test:*":                                        "deny * http://erp.test",
		"allow * http://erp.test:*":                                       "",
		"allow * http://erp.test:1-65535":                                 "allow * http://erp.test:*",
		"allow * http://erp.test:9000,8000-8100,8101,8050":                "allow * http://erp.test:8000-8101,9000",
		"allow * *://*":                                                   "",
		"allow * *://**":                                                  "allow * *://*",
		"allow * *://*.plant2.internal":                                   "",
		"allow * *://**.plant2.internal":                                  "",
		"allow * *://erp-*.plant2.internal":                               "",
		"allow * https://büro.example/größe":                              "allow * https://xn--bro-hoa.example/größe",
		"allow * https://10.1.2.3":                                        "",
		"allow * https://10.1.2.3/32":                                     "allow * https://10.1.2.3",
		"allow * https://10.1.2.3/orders":                                 "allow * https://[10.1.2.3]/orders",
		"allow * https://[10.1.2.3]/8/orders":                             "",
		"allow * https://10.1.2.3:443/8/orders":                           "allow * https://[10.1.2.3]/8/orders",
		"allow * https://10.1.2.3:8443/8/orders":                          "",
		"allow * https://10.1.2.3/33/orders":                              "allow * https://[10.1.2.3]/33/orders",
		"allow * https://10.1.2.3/8a":                                     "allow * https://[10.1.2.3]/8a",
		"allow * https://10.0.0.0/8":                                      "",
		"allow * https://10.0.0.0/8:443/api":                              "allow * https://[10.0.0.0/8]/api",
		"allow * https://[fd00::1]":                                       "",
		"deny * *://[fd00::/8]:22":                                        "",
		"allow * https://[FD00:0::1]:8443/x":                              "allow * https://[fd00::1]:8443/x",
		"deny * *://[::ffff:10.0.0.0/104]":                                "deny * *://10.0.0.0/8",
		"allow * https://erp.test/**":                                     "allow * https://erp.test",
		"allow * https://erp.test/":                                       "",
		"allow * https://erp.test/a/**/**/b":                              "allow * https://erp.test/a/**/b",
		"allow * https://erp.test/Orders(*)/report-*.csv":                 "",
		"allow * https://erp.test/a%20b%2A%3F%25/c%C3%A9":                 "allow * https://erp.test/a%20b%2A%3F%25/cé",
		"allow * https://erp.test/me@x":                                   "",
		"allow * https://erp.test body=1024 rate=600/m":                   "allow * https://erp.test rate=600/m body=1KiB",
		"allow * https://erp.test body=5000kb rate=1/h":                   "allow * https://erp.test rate=1/h body=5MB",
		"deny delete https://erp.test/api/admin/**":                       "deny DELETE https://erp.test/api/admin/**",
		"allow * https://_sip.erp.test/x":                                 "",
		"allow * https://erp.test/%e2%80%ae":                              "allow * https://erp.test/%E2%80%AE",
		"allow GET https://[fe80::/10]/x":                                 "",
		"allow GET https://xn--bro-hoa.example":                           "",
		"allow * https://localhost:8080/api/v1/orders/*/**":               "",
	} {
		if want == "" {
			want = text
		}
		r, err := ParseRule(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if r.String() != want {
			t.Errorf("%q is %q, want %q", text, r, want)
		}
	}
}

func TestFaultyRulesAreNamedByTheirPart(t *testing.T) {
	for text, want := range map[string][2]string{ // the part, and what may stand there
		"":                                      {"", "expected: allow or deny"},
		"allow":                                 {"", "expected"},
		"allow GET":                             {"", "scheme://host"},
		"permit GET https://x":                  {"permit", "write allow or deny"},
		"Allow GET https://x":                   {"Allow", "write allow or deny"},
		"allow GET, https://x":                  {"GET,", "GET,POST"},
		"allow G*T https://x":                   {"G*T", "* for all"},
		"allow GET x.test":                      {"x.test", "https://"},
		"allow GET ftp://x":                     {"ftp", "http, https, or *"},
		"allow GET ://x":                        {"", "http, https, or *"},
		"allow GET https://":                    {"", "is no host"},
		"allow GET https://a..b":                {"a..b", "is no host"},
		"allow GET https://a.**.b":              {"a.**.b", "is no host"},
		"allow GET https://a**.b":               {"a**.b", "is no host"},
		"allow GET https://10.1.2":              {"10.1.2", "is no host"},
		"allow GET https://0x7f.1":              {"0x7f.1", "is no host"},
		"allow GET https://2130706433":          {"2130706433", "is no host"},
		"allow GET https://a b":                 {"b", "rate="},
		"allow GET https://fd00::1/x":           {"fd00::1", "[fd00::1]"},
		"allow GET https://[fd00::1/x":          {"[fd00::1/x", "closing bracket"},
		"allow GET https://[fe80::1%eth0]":      {"fe80::1%eth0", "is no address"},
		"allow GET https://[erp.test]":          {"erp.test", "is no address"},
		"deny * *://10.1.2.3/8":                 {"10.1.2.3/8", "10.0.0.0/8 for the network"},
		"deny * *://10.0.0.0/8/api":             {"10.0.0.0/8/api", "[10.0.0.0]/8/api for the path"},
		"deny * *://[fd00::/129]":               {"fd00::/129", "0 to 128"},
		"deny * *://[10.0.0.0/33]":              {"10.0.0.0/33", "0 to 32"},
		"deny * *://[::ffff:0.0.0.0/90]":        {"::ffff:0.0.0.0/90", "IPv4 network itself"},
		"allow GET https://x:0":                 {"0", "1 to 65535"},
		"allow GET https://x:65536":             {"65536", "1 to 65535"},
		"allow GET https://x:9-8":               {"9-8", "a range"},
		"allow GET https://x:":                  {"", "1 to 65535"},
		"allow GET https://x:80,":               {"", "1 to 65535"},
		"allow GET https://x/a?b=c":             {"?b=c", "query"},
		"allow GET https://x/a#b":               {"#b", "fragment"},
		"allow GET https://me:pw@x/":            {"@x/", "user name"},
		"allow GET https://x/a/":                {"/a/", "/a/**"},
		"deny GET https://x/":                   {"/", "leave the path out"},
		"allow GET https://x//a":                {"//", "one /"},
		"allow GET https://x/a/../b":            {"..", "climbs"},
		"allow GET https://x/%2e/b":             {"%2e", "climbs"},
		"allow GET https://x/a%2Fb":             {"a%2Fb", "encoded slash"},
		"allow GET https://x/a\\b":              {"a\\b", "encoded slash"},
		"allow GET https://x/a;v=1":             {"a;v=1", "semicolon"},
		"allow GET https://x/%zz":               {"%zz", "%25"},
		"allow GET https://x/%ff":               {"%ff", "encoded"},
		"allow GET https://x/%2541":             {"%2541", "twice"},
		"allow GET https://x/a**":               {"a**", "of its own"},
		"allow GET https://x/*%2A":              {"*%2A", "write * for both"},
		"allow GET https://x/a rate=50":         {"rate=50", "rate=50/s"},
		"allow GET https://x/a rate=0/s":        {"rate=0/s", "rate=50/s"},
		"allow GET https://x/a rate=5/d":        {"rate=5/d", "hour"},
		"allow GET https://x/a body=10X":        {"body=10X", "body=10MB"},
		"allow GET https://x/a body=-1":         {"body=-1", "body=10MB"},
		"allow GET https://x/a body=9999PB":     {"body=9999PB", "body=10MB"},
		"allow GET https://x/a rote=5/s":        {"rote=5/s", "rate="},
		"allow GET https://x rate=1/s rate=2/s": {"rate=2/s", "second time"},
		"deny GET https://x rate=1/s":           {"rate=1/s", "deny rule"},
		"allow GET https://x/\x00":              {"", "no text"},
		"allow GET\nhttps://x":                  {"", "no text"},
		strings.Repeat("x", 5000):               {"", "longer than"},
	} {
		_, err := ParseRule(text)
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%.60q: got %v", text, err)
			continue
		}
		if e.Part != want[0] || !strings.Contains(e.Error(), want[1]) || !strings.HasPrefix(text, strings.TrimSuffix(e.Rule, "…")) {
			t.Errorf("%.60q: part %q, %v; want part %q and %q", text, e.Part, e, want[0], want[1])
		}
	}
}

func TestWhatFollowsAllowMayLeaveTheWordOut(t *testing.T) {
	for text, want := range map[string]string{
		"https://erp.test:8443":         "allow * https://erp.test:8443",
		" GET https://erp.test/api/** ": "allow GET https://erp.test/api/**",
		"allow GET https://erp.test":    "allow GET https://erp.test",
	} {
		if r, err := ParseAllow(text); err != nil || r.String() != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"deny * https://erp.test", "erp.test", ""} {
		if r, err := ParseAllow(text); err == nil {
			t.Errorf("%q was taken as %q", text, r)
		}
	}
}

// anyRule draws the text of a rule, of all forms that rules have.
func anyRule(t *rapid.T) string {
	pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	action := pick("action", "allow", "deny")
	segment := rapid.OneOf(rapid.SampledFrom([]string{"*", "**", "orders", "a%20b", "Orders(*)", "é", "%2A", "v*", "ADMIN", "8"}), rapid.StringMatching(`[a-zA-Z0-9_~.-]{1,5}x`))
	host := rapid.OneOf(
		rapid.SampledFrom([]string{"*", "*.plant2.internal", "**.internal", "erp-*.x", "10.0.0.0/8", "10.1.2.3", "[fd00::/8]", "[::1]", "[10.0.0.0/30]", "Büro.example", "169.254.169.254"}),
		rapid.StringMatching(`[a-z][a-z0-9-]{0,8}(\.[a-z]{1,5}){0,3}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 4, 4), func(b []byte) string { return "[" + netipText(b) + "]" }),
	).Draw(t, "host")
	path := ""
	for _, s := range rapid.SliceOfN(segment, 0, 4).Draw(t, "path") {
		path += "/" + s
	}
	ports := pick("ports", "", "", ":*", ":8443", ":80,443", ":9000-9100,22")
	if path != "" && ports == "" && !strings.HasPrefix(host, "[") && strings.Trim(host, "0123456789./") == "" {
		ports = ":8080"
	}
	rule := action + " " + pick("methods", "", "* ", "GET ", "GET,HEAD,POST ", "DELETE,PURGE ") + pick("scheme", "http", "https", "*") + "://" + host + ports + path
	if action == "allow" {
		rule += pick("rate", "", " rate=5/s", " rate=90/m") + pick("body", "", " body=10MB", " body=3KiB", " body=1025")
	}
	return rule
}

func TestCanonicalTextIsTheSameRuleAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyRule(t)
		r, err := ParseRule(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := ParseRule(r.String())
		if err != nil || again.String() != r.String() {
			t.Fatalf("%q is %q, which is read as %v, %v", text, r, again, err)
		}
		again.bucket, r.bucket = nil, nil
		if !sameRule(r, again) {
			t.Fatalf("%q: %+v and %+v", r, r, again)
		}
	})
}

func FuzzParseRule(f *testing.F) {
	for _, text := range []string{"allow GET,POST https://erp.plant2.internal:8443/api/** rate=50/s body=10MB", "deny * *://10.0.0.0/8:22", "allow * *://[fd00::/8]:1-2,9/a%20b/*", "deny *://*"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			var e *SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := ParseRule(r.String())
		if err != nil {
			t.Fatalf("%q was read as %q: %v", text, r, err)
		}
		again.bucket, r.bucket = nil, nil
		if !sameRule(r, again) {
			t.Fatalf("%q was read as %q, and that as %q", text, r, again)
		}
	})
}
