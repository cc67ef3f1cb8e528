package signin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"sallyport/internal/testkit"
)

// provider is a real OAuth 2.0 and OpenID Connect server, twice at one address:
// outside, where a browser and the relay reach it, and inside the site, where
// only the agent does.
type provider struct {
	url string

	mu      sync.Mutex // guards the following
	asked   map[string]int
	access  string // the last tokens that were given out
	refresh string
	refused string // a token that the resource does not take any more
}

// client ids and secrets of the server's own example.
const (
	serviceID, serviceSecret = "sid1", "verysecret"
	webID, webSecret         = "sallyport", "web secret+&"
	userName, userPassword   = "erika", "very secure"
)

func startProvider(t *testing.T, s *stage) *provider {
	t.Helper()
	outer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner := s.site.Listen(t, outer.Addr().String()) // in there, nobody else has the port
	p := &provider{url: "http://" + inner.Addr().String(), asked: map[string]int{}}
	storage.RegisterClients(storage.WebClient(webID, webSecret, s.api.Base+"/oauth/callback"), storage.WebClient(serviceID, serviceSecret))
	users := filepath.Join(t.TempDir(), "users.json") // the service is one, so that its tokens can be asked about
	if err := os.WriteFile(users, fmt.Appendf(nil, `{"u1": {"ID": "u1", "Username": %q, "Password": %q}, %q: {"ID": %[3]q, "Username": %[3]q}}`, userName, userPassword, serviceID), 0o600); err != nil {
		t.Fatal(err)
	}
	people, err := storage.StoreFromFile(users)
	if err != nil {
		t.Fatal(err)
	}
	router := exampleop.SetupServer(p.url, storage.NewStorage(people), slog.New(slog.DiscardHandler), false)
	for where, l := range map[string]net.Listener{"inside": inner, "outside": outer} {
		mux := http.NewServeMux()
		mux.Handle("/", p.watch(where, router))
		mux.Handle("GET /api/me", p.resource(router))
		server := &http.Server{Handler: mux}
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close(); <-done })
	}
	return p
}

// resource is an API behind the provider: it lets in whose token the provider
// says to be active (RFC 7662), and answers the others as RFC 6750 has it.
func (p *provider) resource(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if p.isRefused(token) {
			token = ""
		}
		for id, secret := range map[string]string{serviceID: serviceSecret, webID: webSecret} {
			ask := httptest.NewRequest("POST", "/oauth/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
			ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			ask.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
			answer := httptest.NewRecorder()
			provider.ServeHTTP(answer, ask)
			if strings.Contains(answer.Body.String(), `"active":true`) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"client": %q}`, id)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
}

// watch counts requests by where they came in, and remembers the last tokens, so
// that a test can revoke what the relay never shows.
func (p *provider) watch(where string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keeper{ResponseWriter: w}
		next.ServeHTTP(kept, r)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked[where+" "+r.URL.Path]++
		var token struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		if r.URL.Path == "/oauth/token" && json.Unmarshal(kept.body.Bytes(), &token) == nil && token.Access != "" {
			p.access, p.refresh = token.Access, token.Refresh
		}
	})
}

type keeper struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (k *keeper) Write(b []byte) (int, error) {
	k.body.Write(b)
	return k.ResponseWriter.Write(b)
}

// tokens are the last that were given out, and how often they were asked for.
func (p *provider) tokens(where string) (access, refresh string, asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.access, p.refresh, p.asked[where+" /oauth/token"]
}

// refuse has the resource take a token no more.
func (p *provider) refuse(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = token
}

func (p *provider) isRefused(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return token == p.refused
}

// revoke ends a token as the server's own users do (RFC 7009).
func (p *provider) revoke(t *testing.T, id, secret, token string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("revoke: %s %s", res.Status, body)
	}
}

// serves reports whether the resource takes a token.
func (p *provider) serves(t *testing.T, token string) bool {
	t.Helper()
	return p.ask(t, "GET", "/api/me", "Bearer "+token, nil) == http.StatusOK
}

// refreshes reports whether the provider refreshes by a token.
func (p *provider) refreshes(t *testing.T, token string) bool {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {webID}, "client_secret": {webSecret}}
	return p.ask(t, "POST", "/oauth/token", "", form) == http.StatusOK
}

func (p *provider) ask(t *testing.T, method, path, authorization string, form url.Values) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// count is how often a side and path were asked.
func (p *provider) count(of string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[of]
}

// seenFrom is the side of the provider that a mode's requests come in at.
func seenFrom(mode string) string {
	if mode == "on-premise" {
		return "inside"
	}
	return "outside"
}

func TestClientCredentials(t *testing.T) {
	s := newStage(t)
	p := startProvider(t, s)
	modes(t, func(t *testing.T, mode string) {
		auth := object{"grant": "client_credentials", "tokenUri": "/oauth/token", "clientId": serviceID, "clientSecret": "{{secret.client}}", "scopes": []string{"openid"}}
		c := s.in(mode, object{"baseUri": p.url, "auth": object{"type": "oauth2", "oauth2": auth},
			"ping": object{"uri": "/api/me", "successPath": "client"}, "secrets": object{"client": serviceSecret}})
		_, _, before := p.tokens(seenFrom(mode))
		r := s.test(t, c)
		access, _, asked := p.tokens(seenFrom(mode))
		if !r.OK || asked != before+1 {
			t.Fatalf("%+v; the token endpoint was asked %d times", r, asked-before)
		}
		if shown := fmt.Sprintf("%+v", r); strings.Contains(shown, access) || strings.Contains(shown, serviceSecret) || !strings.Contains(r.Steps[1].Response.Body, "access_token") {
			t.Errorf("shown: %+v", r.Steps[1])
		}

		id := s.save(t, c)
		for range 2 {
			if status, code, body := s.send(t, id, "GET", "/api/me", "", nil); status != http.StatusOK || !strings.Contains(body, serviceID) {
				t.Fatalf("%d %s %s", status, code, body)
			}
		}
		if _, _, now := p.tokens(seenFrom(mode)); now != asked+1 {
			t.Errorf("the token endpoint was asked %d times for two requests", now-asked)
		}
		access, _, asked = p.tokens(seenFrom(mode))
		p.refuse(access) // the provider lets nobody revoke a service's token
		if status, code, body := s.send(t, id, "GET", "/api/me", "", nil); status != http.StatusOK {
			t.Fatalf("after the token was revoked: %d %s %s", status, code, body)
		}
		if _, _, now := p.tokens(seenFrom(mode)); now != asked+1 {
			t.Errorf("the token endpoint was asked %d times after the revocation", now-asked)
		}

		if mode == "on-premise" {
			auth["clientSecret"], auth["clientAuthentication"] = "{{agent.secret.client}}", "body"
			if r := s.test(t, c); !r.OK || strings.Contains(r.Steps[1].Request.Body, serviceSecret) {
				t.Errorf("with a secret of the agent: %+v %+v", r, r.Steps[1].Request)
			}
			auth["clientSecret"], auth["clientAuthentication"] = "{{secret.client}}", "basic"
		}

		c["secrets"] = object{"client": "wrong"}
		r = s.test(t, c)
		if step := r.Steps[1]; step.Status != "failed" || !strings.Contains(step.Message, "invalid_client") || !strings.Contains(step.Hint, "check client id and client secret") {
			t.Errorf("a wrong secret: %+v", step)
		}
	})

	t.Run("the relay's guard holds for the token endpoint", func(t *testing.T) {
		auth := object{"grant": "client_credentials", "tokenUri": "http://10.255.255.1/token", "clientId": serviceID, "clientSecret": "{{secret.client}}"}
		r := s.test(t, s.in("cloud", object{"baseUri": p.url, "auth": object{"type": "oauth2", "oauth2": auth}, "secrets": object{"client": "x"}}))
		if step := r.Steps[1]; step.Code != "address_forbidden" {
			t.Errorf("%+v", step)
		}
	})
}

func TestAuthorizationCodeInARealBrowser(t *testing.T) {
	s := newStage(t)
	p := startProvider(t, s)
	tb := s.tab(t)
	modes(t, func(t *testing.T, mode string) {
		auth := object{"grant": "authorization_code", "authorizationUri": "/auth", "tokenUri": "/oauth/token", "revocationUri": "/revoke", "clientId": webID,
			"clientSecret": "{{secret.client}}", "scopes": []string{"openid", "profile", "offline_access"}}
		id := s.save(t, s.in(mode, object{"baseUri": p.url, "auth": object{"type": "oauth2", "oauth2": auth},
			"ping": object{"uri": "/api/me", "successPath": "client"}, "secrets": object{"client": webSecret}}))
		if _, code, body := s.send(t, id, "GET", "/api/me", "", nil); code != "sign_in_needed" || !strings.Contains(body, "Sign in with the application") {
			t.Fatalf("before anybody signed in: %s %s", code, body)
		}

		tb.Open("/connections/" + id)
		tb.WaitFor(`document.body.innerText.includes("Nobody has signed in with the application yet")`)
		tb.Keep("oauth2-1-nobody-" + mode)
		if mode == "cloud" {
			tb.Press(`form[action$="/authorize"] button`)
		} else {
			tb.Open("/connections/" + id + "/edit")
			tb.Keep("oauth2-form")
			tb.Press(`button[value="authorize"]`)
		}
		logIn(tb, p)
		tb.WaitFor(fmt.Sprintf(`location.pathname === "/connections/%s" && !location.search.includes("code=")`, id))
		tb.WaitFor(`document.body.innerText.includes("Signed in with the application.")`)
		tb.Keep("oauth2-2-signed-in-" + mode)

		if status, code, body := s.send(t, id, "GET", "/api/me", "", nil); status != http.StatusOK || !strings.Contains(body, webID) {
			t.Fatalf("signed in: %d %s %s", status, code, body)
		}
		access, _, asked := p.tokens(seenFrom(mode))
		if asked != 1 {
			t.Errorf("the token endpoint was asked %d times at the side of %s", asked, mode)
		}
		if r := s.test(t, id); !r.OK || !strings.Contains(r.Steps[1].Message, "can be refreshed") {
			t.Errorf("test: %+v", r)
		}
		rotated, refresh, asked := p.tokens(seenFrom(mode))
		if rotated == access || asked != 2 {
			t.Errorf("Test has not refreshed the token")
		}
		p.revoke(t, webID, webSecret, rotated)
		if status, code, body := s.send(t, id, "GET", "/api/me", "", nil); status != http.StatusOK {
			t.Fatalf("after the access token was revoked: %d %s %s", status, code, body)
		}

		// The refresh token goes: nothing but a person helps, and nothing is tried.
		_, newer, _ := p.tokens(seenFrom(mode))
		if newer == refresh {
			t.Error("the refresh token was not rotated")
		}
		access, _, asked = p.tokens(seenFrom(mode))
		p.revoke(t, webID, webSecret, access)
		p.revoke(t, webID, webSecret, newer)
		for range 3 {
			if status, code, body := s.send(t, id, "GET", "/api/me", "", nil); code != "sign_in_needed" {
				t.Fatalf("after the refresh token was revoked: %d %s %s", status, code, body)
			}
		}
		if _, _, now := p.tokens(seenFrom(mode)); now != asked+1 {
			t.Errorf("the token endpoint was asked %d times for what it had refused", now-asked)
		}
		if r := s.test(t, id); r.OK || r.Steps[1].Code != "sign_in_needed" {
			t.Errorf("test: %+v", r)
		}

		// Signed in again, and out: both tokens are revoked, from where they were asked for.
		tb.Open("/connections/" + id)
		tb.Press(`form[action$="/authorize"] button`)
		logIn(tb, p)
		tb.WaitFor(`document.body.innerText.includes("Signed in with the application.")`)
		access, refresh, _ = p.tokens(seenFrom(mode))
		if !p.serves(t, access) {
			t.Error("the new token does not serve")
		}
		before := p.count(seenFrom(mode) + " /revoke")
		if err := s.api.Do(within(t, time.Minute), "DELETE", "/api/v1/connections/"+id+"/session", nil, nil); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 30*time.Second, "the tokens are revoked", func() error {
			if n := p.count(seenFrom(mode)+" /revoke") - before; n < 2 {
				return fmt.Errorf("%d revocations", n)
			}
			return nil
		})
		if p.serves(t, access) || p.refreshes(t, refresh) {
			t.Error("the provider still takes a token")
		}

		p.mu.Lock()
		defer p.mu.Unlock()
		if mode == "on-premise" && p.asked["inside /auth"] != 0 {
			t.Error("the browser's part went through the agent")
		}
	})

	t.Run("whoever does not allow it is told so", func(t *testing.T) {
		tb.Open("/oauth/callback?state=forged&code=x")
		tb.WaitFor(`document.body.innerText.includes("does not belong to a sign-in that was begun here")`)
		tb.Keep("oauth2-3-forged")
	})
}

// logIn fills in the provider's own sign-in page.
func logIn(tb *testkit.Tab, p *provider) {
	tb.WaitFor(fmt.Sprintf(`location.href.startsWith(%q) && document.querySelector('input[type="password"]') !== null`, p.url+"/login"))
	tb.Fill("username", userName)
	tb.Fill("password", userPassword)
	tb.Press(`button[type="submit"], input[type="submit"]`)
}
