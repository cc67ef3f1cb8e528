package session

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

const loginPage = `<!doctype html><html><head><meta name="csrf-token" content="m3ta"><title>Log in</title></head><body>
<form><input type=hidden name=_token value="a&amp;b"><input type="hidden" name="empty" value=""><input name="user"><input type="password" name="pw"></form></body></html>`

func TestValuesAreFoundWhereTheyAreSaidToBe(t *testing.T) {
	answers := map[string]struct{ contentType, body string }{
		"page": {"text/html; charset=utf-8", loginPage},
		"json": {"application/json", `{"data":{"csrf":"j50n","n":12.50,"ok":true,"list":[1],"none":null}}`},
		"xml":  {"application/xml", `<?xml version="1.0"?><r xmlns:x="u"><token at="x"> xml1 </token></r>`},
		"deep": {"text/html", strings.Repeat("<b><i>", 20000)},
	}
	for _, test := range []struct {
		answer string
		from   connection.ValueSource
		at     string
		want   string // the value or, after "!", part of why there is none
	}{
		{"page", connection.FromField, "_token", "a&b"},
		{"page", connection.FromField, "csrf-token", "m3ta"},
		{"page", connection.FromField, "csrf", "!has no form field csrf; its fields are _token, empty, user, pw"},
		{"page", connection.FromField, "empty", "!is there, but empty"},
		{"page", connection.FromXPath, "//input[@name='_token']/@value", "a&b"},
		{"page", connection.FromXPath, "string(//title)", "Log in"},
		{"page", connection.FromXPath, "count(//input)", "4"},
		{"page", connection.FromXPath, "//textarea", "!finds nothing in the answer (status 200)"},
		{"page", connection.FromJSON, "csrf", "!is not JSON"},
		{"xml", connection.FromXPath, "/r/token", "xml1"},
		{"xml", connection.FromXPath, "/r/token/@at", "x"},
		{"json", connection.FromJSON, "data.csrf", "j50n"},
		{"json", connection.FromJSON, "$.data.n", "12.50"},
		{"json", connection.FromJSON, "data.ok", "true"},
		{"json", connection.FromJSON, "data.list", "!finds no text"},
		{"json", connection.FromJSON, "data.none", "!finds no text"},
		{"json", connection.FromJSON, "token", "!finds nothing"},
		{"json", connection.FromField, "token", "!has no form field token; there are no fields at all"},
		{"json", connection.FromHeader, "x-csrf-token", "h3ader"},
		{"json", connection.FromHeader, "X-Earlier", "of a redirect"},
		{"json", connection.FromHeader, "X-Long", "!has 9000 bytes"},
		{"json", connection.FromHeader, "X-None", "!has no header X-None"},
		{"json", connection.FromCookie, "XSRF-TOKEN", "c00kie="},
		{"json", connection.FromCookie, "xsrf", "!No cookie xsrf was set; its cookies are XSRF-TOKEN"},
		{"deep", connection.FromXPath, "//*[count(//*) > 1]//*[last()]", "!"},
	} {
		t.Run(string(test.from)+" "+test.at, func(t *testing.T) {
			a := answers[test.answer]
			e := &road.Exchange{Body: []byte(a.body), Hops: []road.Hop{
				{Status: 302, Header: http.Header{"X-Earlier": {"of a redirect"}}},
				{Status: 200, Header: http.Header{"Content-Type": {a.contentType}, "X-Csrf-Token": {"h3ader"}, "X-Long": {strings.Repeat("x", 9000)}}},
			}}
			jar := newJar(time.Now)
			jar.SetCookies(&url.URL{Scheme: "https", Host: "shop.example", Path: "/"}, []string{"XSRF-TOKEN=c00kie%3D; Path=/"})
			got := extract([]connection.SignInValue{{Name: "v", From: test.from, At: test.at}}, e, jar)[0]
			if why, missing := strings.CutPrefix(test.want, "!"); missing {
				if got.Found || !strings.Contains(got.Missing, why) || !strings.HasSuffix(got.Missing, ".") {
					t.Errorf("got %+v", got)
				}
			} else if !got.Found || got.Value != test.want {
				t.Errorf("got %+v, want %q", got, test.want)
			}
		})
	}
}
