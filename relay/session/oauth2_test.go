package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// endpoint is a token endpoint of which a test decides the answers. Refresh
// tokens are good once.
type endpoint struct {
	*httptest.Server
	mu      sync.Mutex // guards the following
	asked   []url.Values
	headers []http.Header
	answer  func(w http.ResponseWriter, form url.Values) // nil: a token
	refresh string                                       // that is good now
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked, e.headers = append(e.asked, r.PostForm), append(e.headers, r.Header)
	if e.answer != nil {
		e.answer(w, r.PostForm)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if grant := r.PostForm.Get("grant_type"); grant == "refresh_token" && r.PostForm.Get("refresh_token") != e.refresh {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant","error_description":"the token was revoked"}`)
		return
	}
	n := len(e.asked)
	token := map[string]any{"access_token": fmt.Sprintf("access-%d", n), "token_type": "bearer", "expires_in": "3600"}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		e.refresh = fmt.Sprintf("refresh-%d", n)
		token["refresh_token"] = e.refresh
	}
	_ = json.NewEncoder(w).Encode(token)
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.asked)
}

func (e *endpoint) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *endpoint) connection(grant string) *connection.Connection {
	return &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Secrets: map[string]string{"client": "s3cret +&"}, Spec: connection.Defaults(connection.Spec{
		Name: "App", Mode: connection.Cloud, BaseURI: "https://erp.test/api",
		Auth: connection.Auth{Type: connection.AuthOAuth2, OAuth2: &connection.OAuth2Auth{Grant: grant, TokenURI: e.URL + "/token", AuthorizationURI: e.URL + "/authorize",
			ClientID: "sallyport", ClientSecret: "{{secret.client}}", Scopes: []string{"a", "b"}, Parameters: []connection.Pair{{Name: "audience", Value: "erp"}}}},
	})}
}

// bearer is how a session's requests show the token.
func bearer(h *Held, c *connection.Connection) string { return h.Connection(c).Authorization }

func TestClientCredentialsGiveATokenUntilItExpires(t *testing.T) {
	e, at := newEndpoint(t), newClock()
	k, rt, c := newKeeper(t, &memory{}, at, nil), cloud(t), e.connection(connection.ClientCredentials)
	for range 2 {
		h, err := k.Current(context.Background(), rt, c, "req")
		if err != nil || bearer(h, c) != "Bearer access-1" {
			t.Fatal(bearer(h, c), err)
		}
	}
	form := e.asked[0]
	user, password, _ := (&http.Request{Header: e.headers[0]}).BasicAuth()
	if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "a b" || form.Get("audience") != "erp" || form.Has("client_secret") || user != "sallyport" || password != "s3cret+%2B%26" {
		t.Errorf("asked with %v as %q %q", form, user, password)
	}
	at.advance(time.Hour - tokenMargin)
	if h, err := k.Current(context.Background(), rt, c, "req"); err != nil || bearer(h, c) != "Bearer access-2" {
		t.Errorf("after its end: %s, %v", bearer(h, c), err)
	}
}

func TestClientsCredentialsGoIntoTheBodyWhereTheyBelong(t *testing.T) {
	e := newEndpoint(t)
	c := e.connection(connection.ClientCredentials)
	c.Auth.OAuth2.ClientAuthentication = connection.ClientInBody
	if _, err := newKeeper(t, &memory{}, newClock(), nil).Current(context.Background(), cloud(t), c, "req"); err != nil {
		t.Fatal(err)
	}
	if form := e.asked[0]; form.Get("client_id") != "sallyport" || form.Get("client_secret") != "s3cret +&" || e.headers[0].Get("Authorization") != "" {
		t.Errorf("asked with %v, %v", form, e.headers[0])
	}
}

func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	for name, test := range map[string]struct {
		status            int
		contentType, body string
		why               Why
		code, detail      string
	}{
		"RFC 6749":           {401, "application/json", `{"error":"invalid_client","error_description":"no such s3cret +& here"}`, TokenRefused, "invalid_client", "401 Unauthorized: invalid_client (no such ••• here)"},
		"an error under 200": {200, "application/json", `{"error":"invalid_scope"}`, TokenRefused, "invalid_scope", "200 OK: invalid_scope"},
		"in a form":          {400, "application/x-www-form-urlencoded", `error=invalid_request`, TokenRefused, "invalid_request", "400 Bad Request: invalid_request"},
		"a page":             {404, "text/html", "<h1>Not here</h1>", TokenRefused, "", "404 Not Found. The answer begins: <h1>Not here</h1>"},
		"no token":           {200, "application/json", `{"hello":"world"}`, NoToken, "", "without an access token"},
		"no JSON":            {200, "text/html", `<html>`, NoToken, "", "without an access token"},
		"a redirect":         {302, "text/plain", ``, TokenRefused, "", "302 Found"},
		"no header's value":  {200, "application/json", `{"access_token":"a\r\nX-Admin: 1"}`, NoToken, "", "without an access token"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			e.answer = func(w http.ResponseWriter, _ url.Values) {
				w.Header().Set("Content-Type", test.contentType)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}
			k := newKeeper(t, &memory{}, newClock(), nil)
			a, err := k.SignIn(context.Background(), cloud(t), e.connection(connection.ClientCredentials), "req", "a test")
			var failed *Failed
			if !errors.As(err, &failed) || failed.Why != test.why || failed.OAuthError != test.code || !strings.Contains(failed.Detail, test.detail) {
				t.Fatalf("got %+v, %v", failed, err)
			}
			if a == nil || a.Exchange.Last().Status != test.status || e.count() != 1 {
				t.Errorf("recorded %+v of %d requests", a, e.count())
			}
			_, err = k.Current(context.Background(), cloud(t), e.connection(connection.ClientCredentials), "req")
			if p := proto.AsError(err); p == nil || p.Code != proto.CodeSignInFailed {
				t.Errorf("a request got %v", err)
			}
		})
	}
}

func TestAPersonsSignInIsRefreshedOnceForAll(t *testing.T) {
	e, at, store := newEndpoint(t), newClock(), &memory{}
	k, rt, c := newKeeper(t, store, at, nil), cloud(t), e.connection(connection.AuthorizationCode)
	for range 50 { // far more than sign-ins are allowed in a minute
		_, err := k.Current(context.Background(), rt, c, "req")
		if p := proto.AsError(err); p == nil || p.Code != proto.CodeSignInNeeded || p.Outcome != proto.OutcomeNotSent || e.count() != 0 {
			t.Fatalf("before anybody signed in: %v, asked %d times", err, e.count())
		}
	}
	code := Code{Code: "c0de", Verifier: "v3rifier", RedirectURI: "https://relay.test/oauth/callback"}
	if _, err := k.Redeem(context.Background(), rt, c, code, "req", "a person signed in"); err != nil {
		t.Fatal(err)
	}
	if form := e.asked[0]; form.Get("code") != "c0de" || form.Get("code_verifier") != "v3rifier" || form.Get("redirect_uri") != code.RedirectURI || form.Get("audience") != "erp" {
		t.Errorf("asked with %v", form)
	}
	if s, _ := store.LoadSession(context.Background(), "wsp_1", "con_1"); s.Token == nil || s.Token.Refresh != "refresh-1" || s.Token.Life() != time.Hour {
		t.Errorf("stored %+v", s.Token)
	}
	stale, err := k.Current(context.Background(), rt, c, "req")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			h, err := k.Renew(context.Background(), rt, c, stale, "req", "the application answered 401")
			if err != nil || bearer(h, c) != "Bearer access-2" {
				t.Errorf("%s, %v", bearer(h, c), err)
			}
		})
	}
	all.Wait()
	if e.count() != 2 {
		t.Errorf("the endpoint was asked %d times", e.count())
	}
	// Another relay, or a restart, goes on with what is stored.
	at.advance(2 * time.Hour)
	h, err := newKeeper(t, store, at, nil).Current(context.Background(), rt, c, "req")
	if err != nil || bearer(h, c) != "Bearer access-3" {
		t.Errorf("after a restart: %s, %v", bearer(h, c), err)
	}
}

// pausing is a store whose first save waits.
type pausing struct {
	*memory
	once        sync.Once
	begun, gate chan struct{}
}

func (p *pausing) SaveSession(ctx context.Context, ws string, s Session) error {
	p.once.Do(func() {
		close(p.begun)
		<-p.gate
	})
	return p.memory.SaveSession(ctx, ws, s)
}

func TestATokenIsStoredBeforeItIsUsed(t *testing.T) {
	e, store := newEndpoint(t), &pausing{memory: &memory{}, begun: make(chan struct{}), gate: make(chan struct{})}
	k, rt, c := newKeeper(t, store, newClock(), nil), cloud(t), e.connection(connection.ClientCredentials)
	got := make(chan error, 1)
	go func() {
		_, err := k.Current(context.Background(), rt, c, "req")
		got <- err
	}()
	<-store.begun
	if held := k.current(k.entry("wsp_1", "con_1")); held != nil || len(got) != 0 {
		t.Error("the token is used before it is stored")
	}
	close(store.gate)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestATokenServesAlthoughItCannotBeStored(t *testing.T) {
	e, store := newEndpoint(t), &memory{broken: errors.New("the disk is full")}
	k, rt, c := newKeeper(t, store, newClock(), nil), cloud(t), e.connection(connection.ClientCredentials)
	for range 2 {
		if h, err := k.Current(context.Background(), rt, c, "req"); err != nil || bearer(h, c) != "Bearer access-1" {
			t.Fatal(err)
		}
	}
}

func TestARefusedRefreshNeedsAPersonAndIsNotTriedAgain(t *testing.T) {
	e, at, store := newEndpoint(t), newClock(), &memory{}
	k, rt, c := newKeeper(t, store, at, nil), cloud(t), e.connection(connection.AuthorizationCode)
	if _, err := k.Redeem(context.Background(), rt, c, Code{Code: "c"}, "req", "a person signed in"); err != nil {
		t.Fatal(err)
	}
	at.advance(2 * time.Hour)

	// In trouble, the endpoint costs nobody the sign-in.
	e.set(func() {
		e.answer = func(w http.ResponseWriter, _ url.Values) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	_, err := k.Current(context.Background(), rt, c, "req")
	if p := proto.AsError(err); p == nil || p.Code != proto.CodeSignInFailed {
		t.Fatalf("in trouble: %v", err)
	}
	if s, err := store.LoadSession(context.Background(), "wsp_1", "con_1"); err != nil || s.Token.Refresh != "refresh-1" {
		t.Fatalf("in trouble, the stored session is %+v, %v", s, err)
	}

	e.set(func() { e.answer, e.refresh = nil, "another" })
	before := e.count()
	for range 3 {
		_, err := k.Current(context.Background(), rt, c, "req")
		if p := proto.AsError(err); p == nil || p.Code != proto.CodeSignInNeeded || p.Hint == "" {
			t.Fatalf("refused: %v", err)
		}
	}
	if n := e.count() - before; n != 1 {
		t.Errorf("asked %d times for what was refused", n)
	}
	if state := k.State("wsp_1", "con_1"); state.Failures > 1 {
		t.Errorf("counted as failures that lock an account: %+v", state)
	}
	if _, err := k.Redeem(context.Background(), rt, c, Code{Code: "c2"}, "req", "a person signed in again"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Current(context.Background(), rt, c, "req"); err != nil {
		t.Errorf("after a person signed in again: %v", err)
	}
}

func TestATokenThatCannotBeRefreshedServesToItsEnd(t *testing.T) {
	e, at := newEndpoint(t), newClock()
	e.answer = func(w http.ResponseWriter, _ url.Values) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"only","token_type":"Bearer","expires_in":3600}`)
	}
	k, rt, c := newKeeper(t, &memory{}, at, nil), cloud(t), e.connection(connection.AuthorizationCode)
	if _, err := k.Redeem(context.Background(), rt, c, Code{Code: "c"}, "req", "a person signed in"); err != nil {
		t.Fatal(err)
	}
	if a, err := k.SignIn(context.Background(), rt, c, "req", "the connection was tested"); err != nil || a.Token.Access != "only" || e.count() != 1 {
		t.Errorf("a test: %v, asked %d times", err, e.count())
	}
	at.advance(time.Hour)
	if _, err := k.Current(context.Background(), rt, c, "req"); proto.AsError(err) == nil || proto.AsError(err).Code != proto.CodeSignInNeeded {
		t.Errorf("after its end: %v", err)
	}
}

func TestOnlyWhatATokenDependsOnEndsItsSession(t *testing.T) {
	e := newEndpoint(t)
	base := Settings(e.connection(connection.AuthorizationCode))
	for name, test := range map[string]struct {
		change func(*connection.Connection)
		same   bool
	}{
		"a header":       {func(c *connection.Connection) { c.Headers = []connection.Header{{Name: "X-A", Value: "1"}} }, true},
		"the media type": {func(c *connection.Connection) { c.MediaType = connection.XML }, true},
		"another secret": {func(c *connection.Connection) { c.Secrets["other"] = "x" }, true},
		"its own secret": {func(c *connection.Connection) { c.Secrets["client"] = "x" }, false},
		"the scopes":     {func(c *connection.Connection) { c.Auth.OAuth2.Scopes = nil }, false},
		"the base URI":   {func(c *connection.Connection) { c.BaseURI = "https://crm.test" }, false},
	} {
		c := e.connection(connection.AuthorizationCode)
		test.change(c)
		if same := Settings(c) == base; same != test.same {
			t.Errorf("%s: the same %v, want %v", name, same, test.same)
		}
	}
}
