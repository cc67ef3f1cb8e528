package session

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
)

func TestSignInSucceedsByStatusAndCookie(t *testing.T) {
	set := func(status int, lines ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, l := range lines {
				w.Header().Add("Set-Cookie", l)
			}
			w.Header().Set("Location", "/api/welcome")
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		name   string
		login  func(http.ResponseWriter, *http.Request)
		expect int
		why    Why // "" succeeds
	}{
		{"2xx and a cookie", set(204, "SID=1"), 0, ""},
		{"the very code", set(201, "SID=1"), 201, ""},
		{"another 2xx than the code", set(200, "SID=1"), 201, WrongStatus},
		{"401 with a cookie", set(401, "SID=1"), 0, WrongStatus},
		{"401 where 401 is success", set(401, "SID=1"), 401, ""},
		{"200 without a cookie", set(200), 0, NoCookie},
		{"a cookie against the rules", set(200, "SID=1; Secure"), 0, AllCookiesRefused},
		{"a cookie that is deleted", set(200, "SID=x; Max-Age=0"), 0, AllCookiesRefused},
		{"an empty cookie", set(200, "SID="), 0, AllCookiesRefused},
		{"one good cookie of two", set(200, "a=1; Secure", "SID=1"), 0, ""},
		{"redirect followed to a 404, cookie of the first hop", set(302, "SID=1"), 0, WrongStatus},
		{"redirect followed to the code", set(302, "SID=1"), 404, ""},
		{"redirect that is the code is not followed", set(302, "SID=1"), 302, ""},
		{"another redirect than the code", set(303, "SID=1"), 302, WrongStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t)
			a.login = c.login
			con := a.connection()
			con.Auth.Cookie.SuccessStatusCode = c.expect
			k := newKeeper(t, &memory{}, newClock(), nil)
			got, err := k.SignIn(context.Background(), cloud(t), con, "req", "a test")
			var failed *Failed
			var why Why
			if errors.As(err, &failed) {
				why = failed.Why
			} else if err != nil {
				t.Fatal(err)
			}
			if why != c.why {
				t.Fatalf("failed by %q, want %q (%v)", why, c.why, err)
			}
			if c.why == "" && (got.Session.ID == "" || len(got.Session.Cookies) == 0) {
				t.Errorf("session %+v", got.Session)
			}
			if c.why != "" && got.Exchange == nil {
				t.Error("no exchange with the failure")
			}
		})
	}
}

func TestAFailedSignInIsQuotedWithoutSecrets(t *testing.T) {
	a := newApp(t)
	con := a.connection()
	con.Secrets["password"] = `wrong"pass`
	k := newKeeper(t, &memory{}, newClock(), nil)
	_, err := k.SignIn(context.Background(), cloud(t), con, "req", "a test")
	var failed *Failed
	if !errors.As(err, &failed) || failed.Why != NoCookie {
		t.Fatal(err)
	}
	if !strings.Contains(failed.Detail, "200 OK") || !strings.Contains(failed.Detail, "Fails.") {
		t.Errorf("the detail does not quote the answer: %s", failed.Detail)
	}
	if strings.Contains(failed.Detail, "wrong") {
		t.Errorf("the detail holds the secret: %s", failed.Detail)
	}
}

func TestCookiesThatNoRequestWillCarryAreFound(t *testing.T) {
	for _, c := range []struct {
		name, line, ping string
		rule             Rule
	}{
		{"for all", "SID=1; Path=/", "/me", ""},
		{"for the base", "SID=1; Path=/api", "/me", ""},
		{"default path is the directory", "SID=1", "/me", ""},
		{"for the sign-in alone", "SID=1; Path=/api/login", "/me", RuleOtherPath},
		{"for elsewhere", "SID=1; Path=/admin", "", RuleOtherPath},
		{"for the ping", "SID=1; Path=/api/me", "/me", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t)
			a.login = func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Set-Cookie", c.line) }
			con := a.connection()
			con.Ping.URI = c.ping
			k := newKeeper(t, &memory{}, newClock(), nil)
			got, err := k.SignIn(context.Background(), cloud(t), con, "req", "a test")
			if err != nil {
				t.Fatal(err)
			}
			var rule Rule
			if len(got.Unused) > 0 {
				rule = got.Unused[0].Rule
			}
			if rule != c.rule {
				t.Errorf("rule %q, want %q", rule, c.rule)
			}
		})
	}
}

func TestASecureCookieOverTLSIsASession(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "__Host-SID=1; Secure; Path=/")
	}))
	defer s.Close()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	rt := outbound.New(outbound.Options{RootCAs: roots})
	defer rt.Close()
	con := (&app{Server: s}).connection()
	k := newKeeper(t, &memory{}, newClock(), nil)
	a, err := k.SignIn(context.Background(), rt, con, "req", "a test")
	if err != nil || a.Jar.Header(parse(t, s.URL+"/api/me")) != "__Host-SID=1" {
		t.Errorf("%v, %+v", err, a)
	}
	plain := parse(t, s.URL)
	plain.Scheme, plain.Host = "http", "app.example.com"
	if a.Jar.Header(plain) != "" {
		t.Error("the cookie is sent elsewhere")
	}
}

func TestNoAnswerIsTheRoadsError(t *testing.T) {
	a := newApp(t)
	con := a.connection()
	con.BaseURI = "http://127.0.0.1:1"
	k := newKeeper(t, &memory{}, newClock(), nil)
	got, err := k.SignIn(context.Background(), cloud(t), con, "req", "a test")
	if e := proto.AsError(err); e == nil || e.Code != proto.CodeTargetRefused {
		t.Fatal(err)
	}
	if len(got.Exchange.Hops) != 1 {
		t.Error("the request that failed is not on record")
	}
	if _, err = k.Current(context.Background(), cloud(t), con, "req"); proto.AsError(err).Code != proto.CodeTargetRefused {
		t.Error(err)
	}
	if s := k.State(con.WorkspaceID, con.ID); s.Failures != 0 {
		t.Errorf("an application that is down counts as a refused sign-in: %+v", s)
	}
}

func TestADraftIsSignedInAndForgotten(t *testing.T) {
	a := newApp(t)
	con := a.connection()
	con.ID = ""
	store := &memory{}
	k := newKeeper(t, store, newClock(), nil)
	got, err := k.SignIn(context.Background(), cloud(t), con, "req", "a test")
	if err != nil || got.Session.ID == "" {
		t.Fatalf("%v, %+v", err, got)
	}
	if store.saves != 0 {
		t.Error("it was stored")
	}
}

func TestAConnectionWithoutSignInHasAnEmptyJar(t *testing.T) {
	k := newKeeper(t, &memory{}, newClock(), nil)
	con := &connection.Connection{ID: "con_1", Spec: connection.Spec{BaseURI: "http://app.example.com", Auth: connection.Auth{Type: connection.AuthNone}}}
	h, err := k.Current(context.Background(), nil, con, "req")
	if err != nil {
		t.Fatal(err)
	}
	u := parse(t, con.BaseURI)
	h.Jar.SetCookies(u, []string{"a=1"})
	if h.Jar.Header(u) != "" || h.ID() != "" || k.Store(context.Background(), h) != nil {
		t.Error("something was kept")
	}
}

func TestDelaysGrowToAQuarterOfAnHour(t *testing.T) {
	for i, want := range []time.Duration{0, 0, 15 * time.Second, time.Minute, 4 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		if got := delay(i, 401); got != want {
			t.Errorf("after %d failures: %v, want %v", i, got, want)
		}
	}
	if got := delay(1000, 503); got != time.Minute {
		t.Errorf("an application in trouble is asked after %v", got)
	}
}
