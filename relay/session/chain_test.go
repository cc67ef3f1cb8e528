package session

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"sallyport/relay/connection"
)

// guarded is an application that is protected against forged requests: it wants
// the token of its page in the sign-in, and gives another one with that.
type guarded struct {
	*httptest.Server
	seen []string // requests, with what they carried
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		g.seen = append(g.seen, "token "+r.Header.Get("X-Want")+r.Header.Get("X-Token"))
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "c1", Path: "/"})
		w.Header().Set("X-Token", "t1")
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		must(r.ParseForm())
		g.seen = append(g.seen, fmt.Sprintf("login %s %s %s", r.PostForm.Get("token"), r.Header.Get("X-Token"), r.Header.Get("X-Csrf")))
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "c2", Path: "/"})
		if r.PostForm.Get("password") != "hunter2" {
			fmt.Fprint(w, loginPage)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3cret-session", Path: "/"})
		w.Header().Set("X-Welcome", "w1")
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (g *guarded) connection() *connection.Connection {
	return &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1",
		Spec: connection.Defaults(connection.Spec{
			Name: "Guarded", Mode: connection.Cloud, BaseURI: g.URL, MediaType: connection.URLEncoded,
			Headers: []connection.Header{{Name: "X-Token", Value: "{{signin.token}}"}, {Name: "X-Csrf", Value: "{{signin.csrf}}"}, {Name: "X-Welcome", Value: "{{signin.welcome}}"}},
			Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
				Before: &connection.FirstRequest{URI: "/token", Headers: []connection.Header{{Name: "X-Want", Value: "Fetch"}}, Values: []connection.SignInValue{
					{Name: "token", From: connection.FromHeader, At: "X-Token"}, {Name: "csrf", From: connection.FromCookie, At: "csrf"}}},
				Method: "POST", URI: "/login", Body: "token={{signin.token}}&password={{secret.password}}",
				Headers: []connection.Header{{Name: "X-Csrf", Value: "own-{{signin.csrf}}"}},
				Values:  []connection.SignInValue{{Name: "welcome", From: connection.FromHeader, At: "X-Welcome"}},
			}},
		}), Secrets: map[string]string{"password": "hunter2"}}
}

func TestAChainCarriesItsValuesOn(t *testing.T) {
	g, store, clock := newGuarded(t), &memory{}, newClock()
	k, c := newKeeper(t, store, clock, zap.NewNop()), g.connection()
	h, err := k.Current(t.Context(), cloud(t), c, "req")
	must(err)
	if want := "token Fetch, login t1 t1 own-c1"; strings.Join(g.seen, ", ") != want {
		t.Errorf("the application saw %q, want %q", g.seen, want)
	}
	header := func(h *Held, name string) string {
		t.Helper()
		for _, f := range c.Headers {
			if f.Name == name {
				text, err := connection.FillHeader(f, h.Connection(c).Secrets, nil)
				must(err)
				return text
			}
		}
		return ""
	}
	if got := header(h, "X-Csrf"); got != "c2" {
		t.Errorf("the token that the sign-in gave anew is %q", got)
	}
	if got := header(h, "X-Welcome"); got != "w1" {
		t.Errorf("the sign-in's own value is %q", got)
	}
	h.Follow(c, http.Header{"X-Token": {"t2"}})
	if got := header(h, "X-Token"); got != "t2" {
		t.Errorf("a token that a later answer gave is not followed: %q", got)
	}
	must(k.Store(t.Context(), h))

	other := newKeeper(t, store, clock, zap.NewNop())
	loaded, err := other.Current(t.Context(), cloud(t), c, "req")
	must(err)
	if got := header(loaded, "X-Token") + header(loaded, "X-Csrf"); got != "t2c2" || len(g.seen) != 2 {
		t.Errorf("loaded, the values are %q after %q", got, g.seen)
	}
}

func TestAChainThatBreaksSaysWhere(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*connection.Connection)
		why    Why
		detail string
		seen   int
	}{
		"first request without the value": {func(c *connection.Connection) { c.Auth.Cookie.Before.Values[0].At = "X-Tokn" }, NoValue,
			"The first request was answered with 200 OK, but does not give the value token. The answer (status 200) has no header X-Tokn.", 1},
		"wrong password, the token's cookie proves nothing": {func(c *connection.Connection) {
			c.Secrets["password"] = "x"
			c.Auth.Cookie.Values = nil
			c.Headers = nil
		}, NoCookie,
			"The application answered the sign-in with 200 OK and set no cookie but those from which values are read", 2},
		"wrong password, no value": {func(c *connection.Connection) { c.Secrets["password"] = "x" }, NoValue,
			"The sign-in was answered with 200 OK, but does not give the value welcome.", 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t)
			c := g.connection()
			test.change(c)
			_, err := newKeeper(t, &memory{}, newClock(), zap.NewNop()).SignIn(t.Context(), cloud(t), c, "req", "test")
			var failed *Failed
			if !errors.As(err, &failed) || failed.Why != test.why || !strings.HasPrefix(failed.Detail, test.detail) || len(g.seen) != test.seen {
				t.Errorf("got %v after %q", err, g.seen)
			}
		})
	}
}

// TestTheSignInPageAgainIsNoSession: an application that gives a session before
// anybody has signed in would else seem to accept every password.
func TestTheSignInPageAgainIsNoSession(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "PHPSESSID", Value: "early-session", Path: "/"})
		fmt.Fprint(w, loginPage)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("p") != "hunter2" {
			fmt.Fprint(w, loginPage)
		}
	})
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	c := &connection.Connection{Spec: connection.Defaults(connection.Spec{Mode: connection.Cloud, BaseURI: app.URL, MediaType: connection.URLEncoded,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/login", Body: "p={{secret.p}}&t={{signin.t}}",
			Before: &connection.FirstRequest{URI: "/login", Values: []connection.SignInValue{{Name: "t", From: connection.FromField, At: "_token"}}}}}})}
	k := newKeeper(t, &memory{}, newClock(), zap.NewNop())
	for password, want := range map[string]Why{"hunter2": "", "wrong": SignInPage} {
		c.Secrets = map[string]string{"p": password}
		_, err := k.SignIn(t.Context(), cloud(t), c, "req", "test")
		var failed *Failed
		if errors.As(err, &failed); (want == "") != (err == nil) || failed != nil && failed.Why != want {
			t.Errorf("with the password %s: %v", password, err)
		}
	}
}
