package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// through is a site whose connection leads to another application.
func through(t *testing.T, spec connection.Spec, secrets map[string]string) *site {
	t.Helper()
	s := newSite(t, zap.NewNop())
	spec = connection.Defaults(spec)
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	if faults := connection.Validate(spec, names); faults != nil {
		t.Fatal(faults)
	}
	s.c = &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: spec, Secrets: secrets}
	return s
}

// current is the session that the site's connection has now.
func (s *site) current(t *testing.T) *session.Held {
	t.Helper()
	h, err := s.keeper.Current(t.Context(), s.roads.For(s.c), s.c, "req-1")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func djangoSpec(port int) connection.Spec {
	return connection.Spec{
		Name: "Django", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d", port), MediaType: connection.URLEncoded,
		Headers: []connection.Header{{Name: "X-CSRFToken", Value: "{{signin.csrf}}"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
			Before: &connection.FirstRequest{URI: "/admin/login/", Values: []connection.SignInValue{
				{Name: "form", From: connection.FromField, At: "csrfmiddlewaretoken"},
				{Name: "csrf", From: connection.FromCookie, At: "csrftoken"},
			}},
			Method: "POST", URI: "/admin/login/", SuccessStatusCode: 302,
			Body:    "username=ada&password={{secret.password}}&csrfmiddlewaretoken={{signin.form}}&next=/admin/",
			SignOut: &connection.SignOut{URI: "/admin/logout/"},
		}},
		Ping: connection.Ping{URI: "/admin/"},
	}
}

func TestDjangoIsSignedInToByAChain(t *testing.T) {
	app := testkit.StartDjango(t, nil)
	s := through(t, djangoSpec(app.Port), map[string]string{"password": app.Password})
	resp := s.do(t, "GET", "/admin/auth/group/", nil)
	if page := text(t, resp); resp.StatusCode != 200 || !strings.Contains(page, "ada") {
		t.Fatalf("GET as who is signed in: %d\n%s", resp.StatusCode, page)
	}
	// The token was given anew with the sign-in: only that one lets a POST pass.
	resp = s.do(t, "POST", "/admin/auth/group/add/", strings.NewReader("name=Planners&_save=Save"), "Content-Type", "application/x-www-form-urlencoded")
	if page := text(t, resp); resp.StatusCode != 302 {
		t.Fatalf("POST with the token: %d\n%s", resp.StatusCode, page)
	}
	if page := text(t, s.do(t, "GET", "/admin/auth/group/", nil)); !strings.Contains(page, "Planners") {
		t.Error("the POST has changed nothing")
	}

	before := s.current(t)
	if err := s.keeper.Drop(t.Context(), session.Dropped{WorkspaceID: "wsp_1", ConnectionID: "con_1", Connection: s.c}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, "the session is signed out", func() error {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.c.BaseURI+"/admin/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Cookie", before.Jar.Header(req.URL))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != 302 {
			return fmt.Errorf("the old cookie is answered with %d", resp.StatusCode)
		}
		return nil
	})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	if resp := s.do(t, "GET", "/admin/", nil); resp.StatusCode != 200 {
		t.Errorf("after a sign-out, with a new session: %d", resp.StatusCode)
	}
	s.c.Secrets = map[string]string{"password": "wrong"}
	if resp := s.do(t, "GET", "/admin/", nil); resp.Header.Get("Sallyport-Error") != "sign_in_failed" {
		t.Errorf("with a wrong password: %d %s", resp.StatusCode, text(t, resp))
	}
}

// TestTransmissionGivesItsTokenWithARefusal: the sign-in is itself what the value
// comes from, there is no cookie, and 409 says that the value has ended.
func TestTransmissionGivesItsTokenWithARefusal(t *testing.T) {
	app := testkit.StartTransmission(t, nil)
	s := through(t, connection.Spec{
		Name: "Transmission", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d/transmission", app.Port), MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "Authorization", Value: "Basic ada:{{secret.password}}"}, {Name: "X-Transmission-Session-Id", Value: "{{signin.id}}"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Session: &connection.SessionLife{EndedStatusCodes: []int{401, 409}}, Cookie: &connection.CookieAuth{
			Method: "GET", URI: "/rpc", SuccessStatusCode: 409,
			Values: []connection.SignInValue{{Name: "id", From: connection.FromHeader, At: "X-Transmission-Session-Id"}},
		}},
	}, map[string]string{"password": app.Password})
	ask := func() {
		t.Helper()
		resp := s.do(t, "POST", "/rpc", strings.NewReader(`{"method":"session-stats"}`))
		if body := text(t, resp); resp.StatusCode != 200 || !strings.Contains(body, `"success"`) {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	}
	ask()
	before := s.current(t)
	app.Forget(t)
	ask()
	if after := s.current(t); after == before {
		t.Error("the session was not renewed")
	}
}

// TestQBittorrentSays403OfASessionThatHasEnded: where that is known, the session
// is renewed; what it sends is sign-out too.
func TestQBittorrentSays403OfASessionThatHasEnded(t *testing.T) {
	app := testkit.StartQBittorrent(t, nil)
	s := through(t, connection.Spec{
		Name: "qBittorrent", Mode: connection.Cloud, BaseURI: fmt.Sprintf("http://127.0.0.1:%d/api/v2", app.Port), MediaType: connection.URLEncoded,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
			Method: "POST", URI: "/auth/login", Body: "username=admin&password={{secret.password}}",
			SignOut: &connection.SignOut{URI: "/auth/logout"},
		}},
	}, map[string]string{"password": app.Password})
	version := func() int {
		t.Helper()
		return s.do(t, "GET", "/app/version", nil).StatusCode
	}
	if got := version(); got != 200 {
		t.Fatalf("the first request is answered with %d", got)
	}
	app.Forget(t)
	if got := version(); got != 403 {
		t.Fatalf("by a forgotten session, where nobody said what 403 means: %d", got)
	}
	s.c.Auth.Session = &connection.SessionLife{EndedStatusCodes: []int{401, 403}}
	if got := version(); got != 200 {
		t.Errorf("by a forgotten session, where 403 means that it has ended: %d", got)
	}
}
