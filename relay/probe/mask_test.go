package probe

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

var upperEscape = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerEscapes(s string) string { return upperEscape.ReplaceAllStringFunc(s, strings.ToLower) }

const awkward = `pä"ss<wo>rd&'/\ 1+%`

func TestSecretsAreMaskedInEveryFormInWhichTheyTravel(t *testing.T) {
	m := newMask(&connection.Connection{Secrets: map[string]string{"p": awkward}})
	for _, e := range []connection.Escape{connection.EscapeNone, connection.EscapeJSON, connection.EscapeXML, connection.EscapeForm, connection.EscapeCSV, connection.EscapeURI} {
		sent, err := connection.Fill("a {{secret.p}} z", e, map[string]string{"p": awkward}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{sent, lowerEscapes(sent)} {
			if got := m.text(s); got != "a "+masked+" z" {
				t.Errorf("escape %s: %q was shown as %q", e, s, got)
			}
		}
	}
	for _, echo := range []string{
		`{"echo":"p\u00e4\"ss<wo>rd&'/\\ 1+%"}`, `{"echo":"p\u00e4\"ss<wo>rd&'\/\\ 1+%"}`, "/x?p=" + url.QueryEscape(awkward), "/" + url.PathEscape(awkward),
	} {
		if got := m.text(echo); strings.Contains(got, "rd&") || strings.Contains(got, "wo") || !strings.Contains(got, masked) {
			t.Errorf("%s was shown as %s", echo, got)
		}
	}
}

func TestOverlappingSecretsLeaveNoRest(t *testing.T) {
	m := newMask(&connection.Connection{Secrets: map[string]string{"a": "abcd", "b": "cdef", "c": "bc"}})
	if got := m.text("xabcdefx"); got != "x"+masked+"x" {
		t.Errorf("got %q", got)
	}
}

func TestNoSecretIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ -~äöü€]{4,20}`).Draw(t, "secret")
		before := rapid.String().Draw(t, "before")
		m := newMask(&connection.Connection{Secrets: map[string]string{"p": secret}})
		if got := m.body(before + secret + before); strings.Contains(got, secret) {
			t.Fatalf("%q is shown in %q", secret, got)
		}
	})
}

func TestCredentialsThatWereTypedPlainlyAreMasked(t *testing.T) {
	u, _ := url.Parse("http://erp.example/in?user=svc&api_key=k3y-in-query")
	e := &road.Exchange{Hops: []road.Hop{{
		Method: "POST", URL: u, RequestBody: `{"user":"svc","password":"typed-\"plain"}`,
		RequestHeader: http.Header{"Cookie": {"SID=cookie-value-1; lang=en"}, "Authorization": {"Basic c3ZjOnB3"}, "X-Api-Key": {"abc"}, "Accept": {"*/*"}},
		Status:        200, Header: http.Header{"Set-Cookie": {"SID=cookie-value-2; Path=/; HttpOnly"}, "Location": {"/next?token=t0ken"}, "Www-Authenticate": {`Basic realm="erp"`}},
	}}, Body: []byte(`typed-"plain and typed-\"plain and cookie-value-2 and k3y-in-query, {"accessToken":"minted"}`)}
	m := newMask(&connection.Connection{})
	m.learn(e)
	var s Step
	m.show(&s, e)
	shown := []string{s.Request.URL, s.Request.Body, s.Response.Body}
	for _, h := range append(s.Request.Headers, s.Response.Headers...) {
		shown = append(shown, h.Name+": "+h.Value)
	}
	all := strings.Join(shown, "\n")
	for _, secret := range []string{"typed", "plain", "k3y", "cookie-value", "c3Zj", "abc", "t0ken", "minted"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is shown:\n%s", secret, all)
		}
	}
	for _, kept := range []string{"user=svc", `"user":"svc"`, "Cookie: SID=••••; lang=••••", "Set-Cookie: SID=••••; Path=/; HttpOnly", "Authorization: Basic ••••", `Basic realm="erp"`, "Accept: */*"} {
		if !strings.Contains(all, kept) {
			t.Errorf("%q is not shown:\n%s", kept, all)
		}
	}
}

func TestPreviews(t *testing.T) {
	u, _ := url.Parse("http://erp.example/")
	show := func(contentType string, body []byte, truncated bool) *HTTPResponse {
		var s Step
		newMask(&connection.Connection{Secrets: map[string]string{"p": "hunter22"}}).show(&s, &road.Exchange{
			Hops: []road.Hop{{Method: "GET", URL: u, Status: 200, Header: http.Header{"Content-Type": {contentType}}}}, Body: body, Truncated: truncated,
		})
		return s.Response
	}
	if r := show("image/png", []byte("\x89PNG\r\n\x1a\n\x00\x00"), false); r.Body != "(10 bytes of image/png)" {
		t.Errorf("image: %q", r.Body)
	}
	if r := show("text/plain; charset=iso-8859-1", []byte("K\xf6ln"), false); r.Body != "Köln" {
		t.Errorf("Latin-1: %q", r.Body)
	}
	if r := show("text/plain", []byte("a rather long text with K\xf6ln in it"), false); r.Body != "a rather long text with K�ln in it" {
		t.Errorf("undeclared Latin-1: %q", r.Body)
	}
	// The secret lies across the cut, and so does a character.
	long := strings.Repeat("x", previewLimit-4) + "hunter22" + strings.Repeat("ü", 100)
	r := show("text/plain", []byte(long), false)
	if !r.Truncated || len(r.Body) > previewLimit || strings.Contains(r.Body, "hunt") || strings.ToValidUTF8(r.Body, "") != r.Body {
		t.Errorf("cut: truncated %v, ends in %q", r.Truncated, r.Body[len(r.Body)-20:])
	}
	if r := show("text/plain", []byte("short"), true); !r.Truncated {
		t.Error("an answer that was read in part is not shown as truncated")
	}
}
