package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/relay/connection"
)

// echo is an application that shows what it was sent.
func echo(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/away" {
			http.Redirect(w, r, "/base/here?"+r.URL.RawQuery, http.StatusFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%s|%s|%d|%s", r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("X-Key"), r.ContentLength, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestCredentialsGoWithTheCallersRequest(t *testing.T) {
	s := newSite(t, nil)
	s.c.BaseURI = echo(t).URL + "/base"
	s.c.Headers = nil
	custom := &connection.CustomAuth{
		Headers: []connection.Header{{Name: "X-Key", Value: "{{secret.key}}"}},
		Query:   []connection.Pair{{Name: "token", Value: "{{secret.password}}"}},
		Body:    []connection.Pair{{Name: "key", Value: "{{secret.key}}"}},
	}
	basic := connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: "{{secret.password}}"}}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, method, path, contentType, body string
		auth                                  connection.Auth
		want                                  string
	}{
		{"basic", "GET", "/x?a=1", "", "", basic, "a=1|Basic c3ZjOmh1bnRlcjI=||0|"},
		{"custom without a body", "GET", "/x", "", "", connection.Auth{Type: connection.AuthCustom, Custom: custom}, "token=hunter2||k3y|0|"},
		{"custom with an object", "POST", "/x?token=mine&a=1", asJSON, `{"n":1,"key":"mine"}`, connection.Auth{Type: connection.AuthCustom, Custom: custom}, `a=1&token=hunter2||k3y|19|{"n":1,"key":"k3y"}`},
		{"custom with a form", "PUT", "/x", asForm, `a=1`, connection.Auth{Type: connection.AuthCustom, Custom: custom}, `token=hunter2||k3y|11|a=1&key=k3y`},
		{"custom with an empty POST", "POST", "/x", "", ``, connection.Auth{Type: connection.AuthCustom, Custom: custom}, `token=hunter2||k3y|13|{"key":"k3y"}`},
		{"custom with a text", "POST", "/x", "text/plain", `{}`, connection.Auth{Type: connection.AuthCustom, Custom: custom}, `token=hunter2||k3y|2|{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.c.Auth = c.auth
			fields := []string{"Authorization", "Bearer of-the-relay", "X-Key", "of the caller"}
			if c.contentType != "" {
				fields = append(fields, "Content-Type", c.contentType)
			}
			if c.auth.Type == connection.AuthBasic {
				fields = fields[:2]
			}
			if got := text(t, s.do(t, c.method, c.path, strings.NewReader(c.body), fields...)); got != c.want {
				t.Errorf("sent %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestABodyThatIsTooLongForFieldsIsStreamedAsItIs(t *testing.T) {
	s := newSite(t, nil)
	s.c.BaseURI, s.c.Headers = echo(t).URL+"/base", nil
	s.c.Auth = connection.Auth{Type: connection.AuthCustom, Custom: &connection.CustomAuth{Body: []connection.Pair{{Name: "key", Value: "{{secret.key}}"}}}}
	long := `{"a":"` + strings.Repeat("x", connection.MaxFieldsBody) + `"}`
	got := text(t, s.do(t, "POST", "/x", strings.NewReader(long)))
	if want := fmt.Sprintf("|||%d|%s", len(long), long); got != want {
		t.Errorf("sent %d bytes: %.60s", len(got), got)
	}
}

func TestCredentialsInAnAddressAreNotHandedToTheCaller(t *testing.T) {
	s := newSite(t, nil)
	s.c.BaseURI, s.c.Headers = echo(t).URL+"/base", nil
	s.c.Auth = connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: connection.InQuery, Name: "access_token", Token: "{{secret.password}}"}}
	resp := s.do(t, "GET", "/away?a=1", nil)
	if got := resp.Header.Get("Location"); got != prefix+"/here?a=1" {
		t.Errorf("redirected to %s", got)
	}
}
