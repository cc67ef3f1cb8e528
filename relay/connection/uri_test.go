package connection

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestJoinURI(t *testing.T) {
	tests := []struct{ name, base, ref, want string }{
		{"leading slash continues the base path", "https://erp.example/api", "/session", "https://erp.example/api/session"},
		{"no leading slash does the same", "https://erp.example/api", "session", "https://erp.example/api/session"},
		{"trailing slash of the base makes no difference", "https://erp.example/api/", "/session", "https://erp.example/api/session"},
		{"trailing slash of the reference is kept", "https://erp.example/api", "session/", "https://erp.example/api/session/"},
		{"empty reference is the base", "https://erp.example/api/", "", "https://erp.example/api"},
		{"a slash is the base with a slash", "https://erp.example/api", "/", "https://erp.example/api/"},
		{"host alone", "https://erp.example", "me", "https://erp.example/me"},
		{"host alone, empty reference", "https://erp.example", "", "https://erp.example/"},
		{"the base's query is kept", "https://erp.example/api?tenant=7", "/me", "https://erp.example/api/me?tenant=7"},
		{"queries are joined, the base's first", "https://erp.example/api?tenant=7", "/me?full=1", "https://erp.example/api/me?tenant=7&full=1"},
		{"query alone", "https://erp.example/api", "?q=1", "https://erp.example/api?q=1"},
		{"absolute stands for itself", "https://erp.example/api?tenant=7", "https://login.example/session", "https://login.example/session"},
		{"scheme in upper case", "HTTPS://ERP.example/API", "/Me", "https://erp.example/API/Me"},
		{"colon in a path is no scheme", "https://erp.example/api", "users:search", "https://erp.example/api/users:search"},
		{"encoded slash stays encoded", "https://git.example/api", "/projects/a%2Fb", "https://git.example/api/projects/a%2Fb"},
		{"a URI within the path", "https://erp.example", "/fetch/http://x", "https://erp.example/fetch/http://x"},
		{"blanks and letters beyond ASCII are escaped", "https://erp.example", "/Köln Süd?q=a b", "https://erp.example/K%C3%B6ln%20S%C3%BCd?q=a%20b"},
		{"brackets in a query stay", "https://erp.example", "/me?filter[a]=1", "https://erp.example/me?filter[a]=1"},
		{"dots that are no segments", "https://erp.example", "/v1.2/..a/a../...", "https://erp.example/v1.2/..a/a../..."},
		{"IPv6", "http://[::1]:8080/api/", "me", "http://[::1]:8080/api/me"},
		{"percent sign encoded", "https://erp.example", "/100%25", "https://erp.example/100%25"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u, err := JoinURI(test.base, test.ref)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestJoinURIRefuses(t *testing.T) {
	tests := []struct{ name, base, ref, want string }{
		{"relative base", "erp.example/api", "/me", "must begin with http:// or https://"},
		{"another scheme", "ftp://erp.example", "/me", "must begin with http:// or https://"},
		{"user info", "https://me:secret@erp.example", "/me", "user name or password"},
		{"base fragment", "https://erp.example/#/login", "/me", "fragment"},
		{"no host", "https:///api", "/me", "names no host"},
		{"blank in the host", "https://erp example/", "/me", "can't be read"},
		{"port out of range", "https://erp.example:99999", "/me", "1 to 65535"},
		{"backslash after the host", `https://erp.example\@evil.example/`, "/me", "backslash"},
		{"fragment", "https://erp.example", "/me#top", "fragment"},
		{"network-path reference", "https://erp.example", "//evil.example/me", "two slashes"},
		{"absolute of another scheme", "https://erp.example", "file:///etc/passwd", "must begin with"},
		{"dot segment", "https://erp.example/api", "../admin", "segments"},
		{"dot segment in the middle", "https://erp.example/api", "/a/../../admin", "segments"},
		{"single dot", "https://erp.example/api", "/./me", "segments"},
		{"half encoded", "https://erp.example/api", "/.%2e/admin", "segments"},
		{"encoded", "https://erp.example/api", "/%2E%2e/admin", "segments"},
		{"encoded with the slash", "https://erp.example/api", "/a%2f..%2f..%2fadmin", "segments"},
		{"encoded twice", "https://erp.example/api", "/%252e%252e/admin", "segments"},
		{"encoded three times", "https://erp.example/api", "/%25252e%25252e%25252fadmin", "segments"},
		{"encoded beyond reason", "https://erp.example/api", "/%2525252525252e", "over and over"},
		{"backslash", "https://erp.example/api", `/..\admin`, "backslash"},
		{"encoded backslash", "https://erp.example/api", "/..%5cadmin", "segments"},
		{"path parameter after the dots", "https://erp.example/api", "/..;x=1/admin", "segments"},
		{"encoded path parameter", "https://erp.example/api", "/..%3bx/admin", "segments"},
		{"blank after the dots", "https://erp.example/api", "/..%20/admin", "segments"},
		{"overlong UTF-8", "https://erp.example/api", "/%c0%ae%c0%ae/admin", "segments"},
		{"full-width dots", "https://erp.example/api", "/．．/admin", "segments"},
		{"line break", "https://erp.example/api", "/me\r\nHost: evil", "control characters"},
		{"encoded line break in the path", "https://erp.example/api", "/me%0d%0aHost", "control characters"},
		{"NUL", "https://erp.example/api", "/me%00", "control characters"},
		{"stray percent sign", "https://erp.example/api", "/100%", "%25"},
		{"IIS escapes", "https://erp.example/api", "/%u002e%u002e/", "hexadecimal"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u, err := JoinURI(test.base, test.ref)
			if err == nil {
				t.Fatalf("joined to %s", u)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want it to hold %q", err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the message shows the password: %q", err)
			}
		})
	}
}

// rawPath draws paths made of what attackers and users write.
func rawPath() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{"/", "//", ".", "..", "%2e", "%2E", "%252e", "%2f", "%5c", "%25", ";", "a", "api", "~", ":", "@",
		"%20", "%c0%ae", "?", "=", "&", "ü", "\\", "#", "%", "://", "evil.example", "[", "]", "+"})
	return rapid.Map(rapid.SliceOfN(part, 0, 12), func(parts []string) string { return strings.Join(parts, "") })
}

func TestRelativeReferencesStayBelowTheBase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]string{"https://erp.example", "https://erp.example/api", "http://erp.example:8080/a/b?t=1", "http://[::1]/x%2Fy"}).Draw(t, "base")
		ref := rawPath().Draw(t, "ref")
		if isAbsolute(ref) {
			t.Skip("absolute")
		}
		u, err := JoinURI(base, ref)
		if err != nil {
			return
		}
		checkBelow(t, base, u)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// checkBelow fails unless u, read again from its text as the next hop will,
// lies on the base's origin and below its path however often it is decoded.
func checkBelow(t fataler, base string, u *url.URL) {
	b, err := ParseBase(base)
	if err != nil {
		t.Fatalf("base: %v", err)
	}
	again, err := url.Parse(u.String())
	if err != nil {
		t.Fatalf("%q can't be read again: %v", u, err)
	}
	if !SameOrigin(b, again) || again.User != nil || again.Fragment != "" {
		t.Fatalf("%q is not on the origin of %q", u, base)
	}
	prefix := strings.TrimRight(b.EscapedPath(), "/")
	if p := again.EscapedPath(); p != prefix && !strings.HasPrefix(p, prefix+"/") {
		t.Fatalf("%q is not below %q", u, base)
	}
	if !strings.Contains(again.RawQuery, b.RawQuery) {
		t.Fatalf("%q lost the query of %q", u, base)
	}
	path := strings.TrimPrefix(again.EscapedPath(), prefix)
	for range 6 {
		depth := 0
		for segment := range strings.SplitSeq(strings.ReplaceAll(path, `\`, "/"), "/") {
			switch segment {
			case "..":
				depth--
			case "", ".":
			default:
				depth++
			}
			if depth < 0 {
				t.Fatalf("%q climbs above %q once decoded to %q", u, base, path)
			}
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return
		}
		path = decoded
	}
}

func TestTrailingSlashMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]string{"https://erp.example", "https://erp.example/api", "https://erp.example/a/b"}).Draw(t, "base")
		slashes := rapid.IntRange(1, 3).Draw(t, "slashes")
		query := rapid.SampledFrom([]string{"", "?t=1"}).Draw(t, "query")
		ref := rawPath().Draw(t, "ref")
		with, errWith := JoinURI(base+strings.Repeat("/", slashes)+query, ref)
		without, errWithout := JoinURI(base+query, ref)
		if (errWith == nil) != (errWithout == nil) {
			t.Fatalf("with: %v, without: %v", errWith, errWithout)
		}
		if errWith == nil && with.String() != without.String() {
			t.Fatalf("with: %s, without: %s", with, without)
		}
	})
}

func TestLeadingSlashMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := strings.TrimLeft(rawPath().Draw(t, "ref"), "/")
		if ref == "" || ref[0] == '?' || isAbsolute(ref) {
			t.Skip("another kind of reference")
		}
		with, errWith := JoinURI("https://erp.example/api", "/"+ref)
		without, errWithout := JoinURI("https://erp.example/api", ref)
		if (errWith == nil) != (errWithout == nil) {
			t.Fatalf("with: %v, without: %v", errWith, errWithout)
		}
		if errWith == nil && with.String() != without.String() {
			t.Fatalf("with: %s, without: %s", with, without)
		}
	})
}

func TestQueriesMerge(t *testing.T) {
	key := rapid.StringMatching(`[a-z]{1,3}=[a-z0-9]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SliceOfN(key, 0, 3).Draw(t, "base")
		ref := rapid.SliceOfN(key, 0, 3).Draw(t, "ref")
		u, err := JoinPath(&url.URL{Scheme: "http", Host: "h", RawQuery: strings.Join(base, "&")}, "/x", strings.Join(ref, "&"))
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(append(base, ref...), "&"); u.RawQuery != want {
			t.Fatalf("got %q, want %q", u.RawQuery, want)
		}
	})
}

func TestJoinPathLeavesTheBaseAlone(t *testing.T) {
	base, err := ParseBase("https://erp.example/api?t=1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := JoinPath(base, "/me", "q=2"); err != nil {
		t.Fatal(err)
	}
	if got := base.String(); got != "https://erp.example/api?t=1" {
		t.Errorf("the base became %s", got)
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"https://erp.example/a", "https://ERP.example:443/b", true},
		{"http://erp.example", "http://erp.example:80", true},
		{"https://bücher.example", "https://xn--bcher-kva.example", true},
		{"https://erp.example", "http://erp.example", false},
		{"https://erp.example", "https://erp.example:8443", false},
		{"https://erp.example", "https://www.erp.example", false},
	}
	for _, test := range tests {
		a, _ := url.Parse(test.a)
		b, _ := url.Parse(test.b)
		if SameOrigin(a, b) != test.want || SameOrigin(b, a) != test.want {
			t.Errorf("SameOrigin(%s, %s) is not %v", test.a, test.b, test.want)
		}
	}
}

func FuzzJoinPath(f *testing.F) {
	for _, seed := range []string{"/me", "../x", "%2e%2e/x", "//evil.example", "/..;/x", `\..\x`, "%c0%ae", "/a%2fb", "%25%32%65"} {
		f.Add(seed, "a=1")
	}
	const base = "https://erp.example/api/v2?tenant=7"
	f.Fuzz(func(t *testing.T, path, query string) {
		b, err := ParseBase(base)
		if err != nil {
			t.Fatal(err)
		}
		u, err := JoinPath(b, path, query)
		if err == nil {
			checkBelow(t, base, u)
		}
	})
}
