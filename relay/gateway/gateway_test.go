package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/session"
)

func TestOnlyWhatConcernsTheApplicationReachesIt(t *testing.T) {
	s := newSite(t, nil)
	var got *http.Request
	s.mux.HandleFunc("/base/a%2Fb/", func(w http.ResponseWriter, r *http.Request) { got = r })
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { got = r })
	resp := s.do(t, "GET", "/a%2Fb/c?x=1&y=%20", nil,
		"Authorization", "Bearer sally_token", "Cookie", "relay=1", "Sallyport-Timeout", "1", "sallyport-error", "x",
		"Connection", "X-Hop, close", "X-Hop", "1", "X-Forwarded-For", "10.1.1.1", "X-Key", "forged", "X-Other", "kept",
		"Origin", s.relay.URL, "Referer", "https://elsewhere.example.com/", "Sec-Fetch-Mode", "cors", "Te", "trailers")
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status, text(t, resp))
	}
	if got.RequestURI != "/base/a%2Fb/c?x=1&y=%20" {
		t.Errorf("reached %s", got.RequestURI)
	}
	if want := strings.TrimPrefix(s.app.URL, "http://"); got.Host != want {
		t.Errorf("Host %s, want %s", got.Host, want)
	}
	for _, name := range []string{"Authorization", "X-Hop", "X-Forwarded-For", "Origin", "Sec-Fetch-Mode", "Te", "Sallyport-Timeout", "Sallyport-Error", "Sallyport-Request-Id", "Sallyport-Connection", "Connection", "Content-Type"} {
		if v, ok := got.Header[name]; ok {
			t.Errorf("%s: %v reached the application", name, v)
		}
	}
	for name, want := range map[string]string{"Cookie": "SID=1", "X-Key": "k3y", "X-Other": "kept", "Referer": "https://elsewhere.example.com/", "Accept": connection.JSON.Accept()} {
		if v := strings.Join(got.Header[name], "|"); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
}

func TestOnlyWhatConcernsTheCallerComesBack(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Set-Cookie", "later=2; Path=/")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Set("Sallyport-Error", "forged")
		h.Set("Clear-Site-Data", "*")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Request-Id", "theirs")
		h.Set("X-App", "kept")
		h.Set("Server-Timing", "db;dur=5")
		w.WriteHeader(418)
		_, _ = io.WriteString(w, "body")
	})
	resp := s.do(t, "GET", "/x", nil)
	if resp.StatusCode != 418 || text(t, resp) != "body" {
		t.Error("the answer was changed")
	}
	for _, name := range []string{"Set-Cookie", "X-Hop", "Sallyport-Error", "Sallyport-Timing", "Clear-Site-Data", "Access-Control-Allow-Origin"} {
		if v, ok := resp.Header[name]; ok {
			t.Errorf("%s: %v reached the caller", name, v)
		}
	}
	if resp.Header.Get("X-App") != "kept" || !slices.Equal(resp.Header["X-Request-Id"], []string{"req-1"}) || resp.Header.Get("Content-Security-Policy") != "sandbox" {
		t.Errorf("header %v", resp.Header)
	}
	timing := resp.Header["Server-Timing"]
	if len(timing) != 2 || timing[0] != "db;dur=5" || !strings.HasPrefix(timing[1], "total;dur=") || !strings.Contains(timing[1], "wait;dur=") {
		t.Errorf("Server-Timing %v", timing)
	}
	var sent string
	s.mux.HandleFunc("/base/y", func(w http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Cookie") })
	s.do(t, "GET", "/y", nil)
	if sent != "SID=1; later=2" {
		t.Errorf("later cookies were not kept: %s", sent)
	}
}

func TestAnExpiredSessionIsRenewedOnceAndEveryRequestSucceeds(t *testing.T) {
	for _, redirects := range []bool{false, true} {
		t.Run(fmt.Sprintf("redirects=%v", redirects), func(t *testing.T) {
			s := newSite(t, nil)
			s.redirects.Store(redirects)
			s.mux.HandleFunc("/base/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
			s.do(t, "GET", "/echo", nil)
			s.expire()
			s.reached.Store(0)
			var wg sync.WaitGroup
			limit := make(chan struct{}, 100) // of file descriptors
			for i := range 500 {
				wg.Go(func() {
					limit <- struct{}{}
					defer func() { <-limit }()
					want := fmt.Sprintf("body %d", i)
					resp := s.do(t, "POST", "/echo", strings.NewReader(want))
					if got := text(t, resp); resp.StatusCode != 200 || got != want {
						t.Errorf("%s: %q", resp.Status, got)
					}
				})
			}
			wg.Wait()
			if n := s.signIns.Load(); n != 2 {
				t.Errorf("%d sign-ins, want the first and one more", n)
			}
			if n := s.reached.Load(); n != 500 {
				t.Errorf("%d requests were acted on, want 500", n)
			}
		})
	}
}

func TestABodyTooLongToKeepIsNotSentTwice(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/up", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	long := strings.Repeat("x", 2*replayLimit)
	s.do(t, "GET", "/up", nil)
	for _, redirects := range []bool{false, true} {
		s.redirects.Store(redirects)
		for _, chunked := range []bool{false, true} {
			s.expire()
			s.reached.Store(0)
			before := s.signIns.Load()
			var body io.Reader = strings.NewReader(long)
			if chunked {
				body = io.MultiReader(body)
			}
			resp := s.do(t, "POST", "/up", body)
			code := resp.Header.Get(proto.HeaderError)
			switch {
			case !redirects && !chunked && (resp.StatusCode != 401 || code != ""):
				t.Errorf("401 became %s %s", resp.Status, code)
			case redirects && !chunked && code != string(proto.CodeSessionEnded):
				t.Errorf("the redirect became %s %s", resp.Status, code)
			}
			if s.signIns.Load() != before+1 {
				t.Error("the session was not renewed")
			}
			if resp := s.do(t, "POST", "/up", strings.NewReader(long)); text(t, resp) != fmt.Sprint(len(long)) {
				t.Errorf("the next request: %s", resp.Status)
			}
		}
	}
}

func TestARefusalThatRenewingDoesNotMendIsPassedOn(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/admin", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) })
	for range 5 {
		if resp := s.do(t, "GET", "/admin", nil); resp.StatusCode != 401 || resp.Header.Get(proto.HeaderError) != "" {
			t.Error(resp.Status, resp.Header)
		}
	}
	if n := s.signIns.Load(); n != 2 {
		t.Errorf("%d sign-ins, want the first and one more", n)
	}
}

func TestOurOwnErrorsAreProblems(t *testing.T) {
	read := func(t *testing.T, resp *http.Response, code proto.Code, outcome proto.Outcome) map[string]any {
		t.Helper()
		var p map[string]any
		if err := json.Unmarshal([]byte(text(t, resp)), &p); err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get(proto.HeaderError) != string(code) || resp.StatusCode != code.Status() {
			t.Errorf("%s, %v", resp.Status, resp.Header)
		}
		if p["code"] != string(code) || p["outcome"] != string(outcome) || p["detail"] == "" || p["requestId"] != "req-1" || !strings.Contains(resp.Header.Get("Server-Timing"), "total") {
			t.Errorf("problem %v", p)
		}
		return p
	}
	t.Run("a path that climbs", func(t *testing.T) {
		s := newSite(t, nil)
		for _, path := range []string{"/../admin", "/a/%2e%2e/b", "/%252e%252e/"} {
			read(t, s.do(t, "GET", path, nil), proto.CodeValidation, proto.OutcomeNotSent)
		}
		if s.signIns.Load() != 0 {
			t.Error("it signed in for a request that can't be sent")
		}
	})
	t.Run("trace and upgrade", func(t *testing.T) {
		s := newSite(t, nil)
		read(t, s.do(t, "TRACE", "/x", nil), proto.CodeValidation, proto.OutcomeNotSent)
		read(t, s.do(t, "GET", "/x", nil, "Connection", "Upgrade", "Upgrade", "websocket"), proto.CodeValidation, proto.OutcomeNotSent)
		if resp := s.do(t, "GET", "/x", nil, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AA"); resp.StatusCode != 404 {
			t.Errorf("an offer of h2c: %s", resp.Status)
		}
	})
	t.Run("refused sign-in, and when it is tried again", func(t *testing.T) {
		s := newSite(t, nil)
		s.c.Secrets["password"] = "wrong"
		read(t, s.do(t, "GET", "/x", nil), proto.CodeSignInFailed, proto.OutcomeNotSent)
		resp := s.do(t, "GET", "/x", nil)
		read(t, resp, proto.CodeSignInFailed, proto.OutcomeNotSent)
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
	t.Run("target down", func(t *testing.T) {
		s := newSite(t, nil)
		s.do(t, "GET", "/x", nil)
		s.app.Close()
		// A POST over a kept connection whose end has not been noticed yet may have
		// arrived: unknown. A GET is sent again, until no kept connection is left.
		if code := s.do(t, "GET", "/x", nil).Header.Get(proto.HeaderError); code != string(proto.CodeTargetRefused) {
			t.Fatalf("a GET: %s", code)
		}
		read(t, s.do(t, "POST", "/x", strings.NewReader("x")), proto.CodeTargetRefused, proto.OutcomeNotSent)
	})
	t.Run("session that is never accepted", func(t *testing.T) {
		s := newSite(t, nil)
		s.broken.Store(true)
		s.redirects.Store(true)
		read(t, s.do(t, "GET", "/x", nil), proto.CodeSessionEnded, proto.OutcomeSent)
	})
}

func TestLocationsBelowTheBaseLeadBackThroughTheProxy(t *testing.T) {
	s := newSite(t, nil)
	location := ""
	s.mux.HandleFunc("/base/x/y", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusSeeOther)
	})
	for _, c := range []struct{ location, want string }{
		{"/base/orders/1?x=1#top", prefix + "/orders/1?x=1#top"},
		{"z", prefix + "/x/z"},
		{s.app.URL + "/base/a%2Fb", prefix + "/a%2Fb"},
		{"/base", prefix},
		{"/basement", s.app.URL + "/basement"},
		{"/elsewhere", s.app.URL + "/elsewhere"},
		{"https://other.example.com/base/x", "https://other.example.com/base/x"},
	} {
		location = c.location
		if got := s.do(t, "GET", "/x/y", nil).Header.Get("Location"); got != c.want {
			t.Errorf("%s became %s, want %s", c.location, got, c.want)
		}
	}
}

func TestOnlyARedirectToASignInPageEndsASession(t *testing.T) {
	c := &connection.Connection{Spec: connection.Spec{BaseURI: "http://app/base", Auth: connection.Auth{
		Type: connection.AuthCookie, Cookie: &connection.CookieAuth{URI: "/session"},
	}}}
	base, _ := connection.ParseBase(c.BaseURI)
	for _, tc := range []struct {
		path, location string
		want           bool
	}{
		{"/orders", "/login", true}, {"/orders", "/base/session", true}, {"/orders", "/Account/Login.aspx?ReturnUrl=x", true},
		{"/orders", "http://app:8443/auth/sign-in/", true}, {"/orders", "/base/orders/1", false}, {"/orders", "/login-attempts/5", false},
		{"/orders", "/blogin", false}, {"/orders", "http://idp.example.com/login", false}, {"/login", "/login/", false},
		{"/orders", "", false}, {"/orders", "http://[", false}, {"/session", "/base/session/", false},
	} {
		target, err := connection.JoinPath(base, tc.path, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := new(session.Held).Ended(c, target, http.StatusFound, tc.location) != ""; got != tc.want {
			t.Errorf("%s → %q: %v, want %v", tc.path, tc.location, got, tc.want)
		}
	}
}

func TestNoSecretCookieOrQueryIsLogged(t *testing.T) {
	var out bytes.Buffer
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&out)), zap.DebugLevel))
	s := newSite(t, log)
	s.do(t, "GET", "/x?token=querysecret", nil, "Authorization", "Bearer sally_token", "Cookie", "relay=cookiesecret")
	s.expire()
	s.do(t, "POST", "/x", strings.NewReader("bodysecret"))
	s.do(t, "GET", "/../x?token=querysecret", nil)
	s.relay.Close() // so that all has been logged
	if !strings.Contains(out.String(), "request sent through a connection") || !strings.Contains(out.String(), "signed in") {
		t.Fatal("nothing was logged: the test can't fail")
	}
	for _, secret := range []string{"hunter2", "k3y", "SID", "querysecret", "sally_token", "cookiesecret", "bodysecret"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log holds %s: %s", secret, out.String())
		}
	}
	if strings.Contains(out.String(), `:""`) {
		t.Errorf("a field of the log says nothing: %s", out.String())
	}
}

func TestMetricsCountByResult(t *testing.T) {
	s := newSite(t, nil)
	s.do(t, "GET", "/none", nil)
	s.do(t, "GET", "/../x", nil)
	s.relay.Close()
	families, err := s.requests.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sallyport_proxy_requests_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if len(got) != 2 || got["4xx"] != 1 || got["validation"] != 1 {
		t.Errorf("counted %v", got)
	}
}
