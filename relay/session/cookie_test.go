package session

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/publicsuffix"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func parse(t interface{ Fatal(...any) }, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCookiesAreRefusedByTheRuleThatTheyBreak(t *testing.T) {
	for _, c := range []struct {
		name, url, line string
		rule            Rule
	}{
		{"plain", "http://app.example.com/login", "SID=1", ""},
		{"attributes in any case and with blanks", "https://app.example.com/", "SID=1 ;  HTTPONLY; secure ; pAtH = /", ""},
		{"parent domain", "http://app.example.com/", "SID=1; Domain=example.com", ""},
		{"parent domain with a dot", "http://app.example.com/", "SID=1; Domain=.Example.COM", ""},
		{"own host as domain", "http://app.example.com/", "SID=1; Domain=app.example.com", ""},
		{"address as its own domain", "http://10.0.0.7/", "SID=1; Domain=10.0.0.7", ""},
		{"empty domain is none", "http://app.example.com/", "SID=1; Domain=", ""},
		{"single label host", "http://intranet/", "SID=1; Domain=intranet", ""},
		{"quotes and JSON in a value", "http://app.example.com/", `prefs={"a":"b c"}`, ""},
		{"brackets in a name", "http://app.example.com/", "user[id]=4", ""},
		{"an overlong attribute is passed over", "http://app.example.com/", "SID=1; Path=/" + strings.Repeat("x", 1025), ""},

		{"child domain", "http://example.com/", "SID=1; Domain=app.example.com", RuleDomain},
		{"stranger", "http://app.example.com/", "SID=1; Domain=other.com", RuleDomain},
		{"no dot between", "http://badexample.com/", "SID=1; Domain=example.com", RuleDomain},
		{"address within an address", "http://10.0.0.7/", "SID=1; Domain=0.0.7", RuleDomain},
		{"dot at the end", "http://app.example.com/", "SID=1; Domain=example.com.", RuleDomain},
		{"public suffix", "http://app.co.uk/", "SID=1; Domain=co.uk", RulePublicSuffix},
		{"private registry", "http://me.github.io/", "SID=1; Domain=github.io", RulePublicSuffix},
		{"top level", "http://erp.internal/", "SID=1; Domain=internal", RulePublicSuffix},
		{"secure over http", "http://app.example.com/", "SID=1; Secure", RuleSecure},
		{"secure over http on loopback", "http://127.0.0.1:8080/", "SID=1; Secure", RuleSecure},
		{"host prefix without path", "https://app.example.com/", "__Host-SID=1; Secure", RuleHostPrefix},
		{"host prefix with domain", "https://app.example.com/", "__host-SID=1; Secure; Path=/; Domain=app.example.com", RuleHostPrefix},
		{"host prefix kept", "https://app.example.com/", "__Host-SID=1; Secure; Path=/", ""},
		{"secure prefix", "https://app.example.com/", "__Secure-SID=1", RuleSecurePrefix},
		{"secure prefix kept", "https://app.example.com/", "__Secure-SID=1; Secure", ""},
		{"max-age 0", "http://app.example.com/", "SID=1; Max-Age=0", RuleExpired},
		{"negative max-age", "http://app.example.com/", "SID=1; Max-Age=-1", RuleExpired},
		{"expires in the past", "http://app.example.com/", "SID=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", RuleExpired},
		{"max-age outweighs expires", "http://app.example.com/", "SID=1; Max-Age=60; Expires=Thu, 01-Jan-70 00:00:01 GMT", ""},
		{"max-age outweighs a later expires", "http://app.example.com/", "SID=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=0", RuleExpired},
		{"unreadable expires is none", "http://app.example.com/", "SID=1; Expires=soon", ""},
		{"unreadable max-age is none", "http://app.example.com/", "SID=1; Max-Age=1h", ""},
		{"no name", "http://app.example.com/", "=1", RuleName},
		{"no equals sign", "http://app.example.com/", "SID; Path=/", RuleName},
		{"empty line", "http://app.example.com/", "", RuleName},
		{"empty value", "http://app.example.com/", "SID=; Path=/", RuleEmptyValue},
		{"too large", "http://app.example.com/", "SID=" + strings.Repeat("x", 4094), RuleSize},
		{"as large as allowed", "http://app.example.com/", "SID=" + strings.Repeat("x", 4093), ""},
		{"control character", "http://app.example.com/", "SID=a\x01b", RuleControl},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJar(atNoon)
			j.SetCookies(parse(t, c.url), []string{c.line})
			received, refused := j.refusals()
			if received != 1 {
				t.Errorf("received %d lines, want 1", received)
			}
			var got Rule
			if len(refused) > 0 {
				got = refused[0].Rule
				if refused[0].Explanation == "" {
					t.Error("no explanation")
				}
			}
			if got != c.rule {
				t.Fatalf("rule %q, want %q", got, c.rule)
			}
			if live := j.live(); live != (c.rule == "") {
				t.Errorf("a session can be made of it: %v, with rule %q", live, c.rule)
			}
		})
	}
}

func TestExpiresIsReadInEveryShapeThatApplicationsWrite(t *testing.T) {
	want := time.Date(2031, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Thu, 06 Nov 2031 08:49:37 GMT", "Thu, 06-Nov-2031 08:49:37 GMT", "Thursday, 06-Nov-31 08:49:37 GMT",
		"Thu Nov  6 08:49:37 2031", "06 november 2031 8:49:37", "2031 Nov 06 08:49:37",
	} {
		if got, ok := parseCookieDate(s); !ok || !got.Equal(want) {
			t.Errorf("%q: got %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "Thu, 31 Feb 2031 08:49:37 GMT", "Thu, 06 Nov 2031", "06 Nov 2031 25:00:00", "06 Nov 1600 08:00:00"} {
		if got, ok := parseCookieDate(s); ok {
			t.Errorf("%q: read as %v, want refused", s, got)
		}
	}
}

// The check and the jar of the standard library must not disagree: what is
// reported as refused must not be sent, and what is accepted must be sent to
// some address.
func TestTheCheckAgreesWithTheJarOfTheStandardLibrary(t *testing.T) {
	hosts := []string{"example.com", "app.example.com", "co.uk", "app.co.uk", "intranet", "10.0.0.7", "a.b.internal"}
	rapid.Check(t, func(t *rapid.T) {
		from := parse(t, rapid.SampledFrom([]string{"http://", "https://"}).Draw(t, "scheme")+
			rapid.SampledFrom(hosts).Draw(t, "host")+rapid.SampledFrom([]string{"", "/", "/a/b", "/a/b/"}).Draw(t, "path"))
		line := rapid.SampledFrom([]string{"SID", "__Host-SID", "__Secure-SID"}).Draw(t, "name") + "=v"
		if d := rapid.SampledFrom(append(hosts, "")).Draw(t, "domain"); d != "" {
			line += "; Domain=" + rapid.SampledFrom([]string{"", "."}).Draw(t, "dot") + d
		}
		line += rapid.SampledFrom([]string{"", "; Path=/", "; Path=/a", "; Path=x"}).Draw(t, "cookie path")
		line += rapid.SampledFrom([]string{"", "; Secure"}).Draw(t, "secure")
		line += rapid.SampledFrom([]string{"", "; Max-Age=5", "; Max-Age=0"}).Draw(t, "age")

		j := newJar(time.Now)
		j.SetCookies(from, []string{line})
		_, refused := j.refusals()
		back := *from
		sent := false
		for _, path := range []string{"/", "/a", "/a/b", "/a/b/c"} {
			back.Path = path
			sent = sent || j.Header(&back) != ""
		}
		if sent == (len(refused) > 0) {
			t.Fatalf("%s from %s: refused %v, but sent %v", line, from, refused, sent)
		}
	})
}

func TestCookiesGoBackAsTheyCame(t *testing.T) {
	j := newJar(atNoon)
	u := parse(t, "http://app.example.com/")
	j.SetCookies(u, []string{`a="quoted"`, `b={"x":1, "y":"ü"}; Path=/`, `c=d=e==`})
	if got, want := j.Header(u), `a="quoted"; b={"x":1, "y":"ü"}; c=d=e==`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAJarKeepsTheLastLineOfACookieAndForgetsDeletedOnes(t *testing.T) {
	j := newJar(atNoon)
	u := parse(t, "http://app.example.com/login?password=hunter2")
	for i := range 1000 {
		j.SetCookies(u, []string{fmt.Sprintf("SID=%d; Path=/", i), "tmp=1; Path=/"})
	}
	j.SetCookies(u, []string{"tmp=; Path=/; Max-Age=0"})
	lines, _ := j.lines()
	if len(lines) != 1 || lines[0].Line != "SID=999; Path=/" {
		t.Fatalf("kept %v", lines)
	}
	if strings.Contains(lines[0].URL, "hunter2") {
		t.Error("the query of the sign-in URI is stored")
	}
	if _, refused := j.refusals(); len(refused) != 0 {
		t.Errorf("a deletion of what was there is reported: %v", refused)
	}
}

func TestAJarIsBounded(t *testing.T) {
	j := newJar(atNoon)
	u := parse(t, "http://app.example.com/")
	for i := range 3 * maxCookies {
		j.SetCookies(u, []string{fmt.Sprintf("c%d=v", i)})
	}
	if lines, _ := j.lines(); len(lines) != maxCookies {
		t.Errorf("keeps %d lines, want %d", len(lines), maxCookies)
	}
	if sent := strings.Count(j.Header(u), "="); sent != maxCookies {
		t.Errorf("sends %d cookies, want %d", sent, maxCookies)
	}
}

func TestReplayReckonsAgeFromWhenACookieWasReceived(t *testing.T) {
	lines := []SetCookie{
		{URL: "http://app.example.com/", Line: "short=1; Max-Age=60", At: noon},
		{URL: "http://app.example.com/", Line: "long=1; Max-Age=3600", At: noon},
		{URL: "http://app.example.com/", Line: "dated=1; Expires=Sun, 01 Mar 2026 12:00:30 GMT", At: noon},
		{URL: "http://app.example.com/", Line: "always=1", At: noon},
	}
	u := parse(t, "http://app.example.com/")
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "short=1; long=1; dated=1; always=1"},
		{45 * time.Second, "short=1; long=1; always=1"},
		{10 * time.Minute, "long=1; always=1"},
		{2 * time.Hour, "always=1"},
	} {
		j := restore(lines, func() time.Time { return noon.Add(c.after) })
		if got := j.Header(u); got != c.want {
			t.Errorf("after %v: %s, want %s", c.after, got, c.want)
		}
	}
}

// A jar that is stored and restored sends what it sent before.
func TestAStoredJarIsTheSameJar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		j := newJar(func() time.Time { return now })
		reference, _ := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
		urls := []string{"https://example.com/", "https://app.example.com/a/b", "https://app.example.com/a/c/d"}
		for range rapid.IntRange(1, 12).Draw(t, "lines") {
			u := parse(t, rapid.SampledFrom(urls).Draw(t, "url"))
			line := rapid.StringMatching(`[ab]=[0-9]`).Draw(t, "pair") +
				rapid.SampledFrom([]string{"", "; Domain=example.com"}).Draw(t, "domain") +
				rapid.SampledFrom([]string{"", "; Path=/", "; Path=/a"}).Draw(t, "path") +
				rapid.SampledFrom([]string{"", "; Max-Age=0", "; Max-Age=90"}).Draw(t, "age")
			j.SetCookies(u, []string{line})
			if c, err := http.ParseSetCookie(line); err == nil {
				reference.SetCookies(u, []*http.Cookie{c})
			}
		}
		lines, _ := j.lines()
		again := restore(lines, func() time.Time { return now })
		for _, raw := range urls {
			u := parse(t, raw)
			var standard []string
			for _, c := range reference.Cookies(u) {
				standard = append(standard, c.Name+"="+c.Value)
			}
			sent, back, want := pairs(j.Header(u)), pairs(again.Header(u)), pairs(strings.Join(standard, "; "))
			if sent != back || sent != want {
				t.Fatalf("%s: sent %q, after restoring %q, want %q", raw, sent, back, want)
			}
		}
	})
}

// pairs without their order, which is by creation time where paths are equally
// long, and restoring creates anew.
func pairs(header string) string {
	p := strings.Split(header, "; ")
	slices.Sort(p)
	return strings.Join(p, "; ")
}
