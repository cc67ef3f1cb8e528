package authorize

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/session"
	"sallyport/relay/vault"
)

// rooms stand for the registry and the sessions, which have tests of their own.
type rooms struct {
	c        connection.Connection
	redeemed []session.Code
	fails    error
	noted    int
}

func (r *rooms) Resolve(_ context.Context, _ account.Actor, id string) (*connection.Connection, error) {
	c := r.c
	c.ID = id
	return &c, nil
}
func (r *rooms) SignedIn(context.Context, account.Actor, string) error { r.noted++; return nil }
func (r *rooms) For(*connection.Connection) http.RoundTripper          { return http.DefaultTransport }
func (r *rooms) Redeem(_ context.Context, _ http.RoundTripper, _ *connection.Connection, code session.Code, _, _ string) (*session.Attempt, error) {
	r.redeemed = append(r.redeemed, code)
	return &session.Attempt{}, r.fails
}

type desk struct {
	*Desk
	*rooms
	now time.Time
}

var erika = account.Actor{WorkspaceID: "wsp_1", Kind: "user", ID: "usr_1", Name: "Erika", Role: account.Editor}

func newDesk(t *testing.T) *desk {
	t.Helper()
	keys, err := vault.Open(filepath.Join(t.TempDir(), "keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{now: time.Now(), rooms: &rooms{c: connection.Connection{WorkspaceID: "wsp_1", Secrets: map[string]string{"client": "x"}, Spec: connection.Defaults(connection.Spec{
		Mode: connection.Cloud, BaseURI: "https://erp.test/api", Auth: connection.Auth{Type: connection.AuthOAuth2, OAuth2: &connection.OAuth2Auth{
			Grant: connection.AuthorizationCode, AuthorizationURI: "https://login.test/authorize?tenant=7", TokenURI: "https://login.test/token",
			ClientID: "sallyport", ClientSecret: "{{secret.client}}", Scopes: []string{"a", "b"}, Parameters: []connection.Pair{{Name: "audience", Value: "erp"}}}},
	})}}}
	d.Desk = New(Options{Connections: d.rooms, Sessions: d.rooms, Roads: d.rooms, Sealer: keys, Clock: func() time.Time { return d.now },
		PublicURL: &url.URL{Scheme: "https", Host: "relay.test", Path: "/"}})
	return d
}

// begin is the query of the address to which a browser is sent.
func (d *desk) begin(t *testing.T) url.Values {
	t.Helper()
	at, err := d.Begin(context.Background(), erika, "con_1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil || u.Host != "login.test" || u.Path != "/authorize" {
		t.Fatal(at, err)
	}
	return u.Query()
}

func TestTheBrowserTakesAChallengeAndBringsACode(t *testing.T) {
	d := newDesk(t)
	sent := d.begin(t)
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "sallyport", "redirect_uri": "https://relay.test/oauth/callback",
		"scope": "a b", "audience": "erp", "tenant": "7", "code_challenge_method": "S256",
	} {
		if got := sent.Get(name); got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	back := url.Values{"state": {sent.Get("state")}, "code": {"c0de"}}
	id, err := d.Finish(context.Background(), erika, back, "req")
	if err != nil || id != "con_1" || len(d.redeemed) != 1 || d.noted != 1 {
		t.Fatal(id, err, d.redeemed)
	}
	got := d.redeemed[0]
	sum := sha256.Sum256([]byte(got.Verifier))
	if got.Code != "c0de" || got.RedirectURI != sent.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != sent.Get("code_challenge") {
		t.Errorf("redeemed %+v", got)
	}
	// The page is loaded again.
	if id, err := d.Finish(context.Background(), erika, back, "req"); err != nil || id != "con_1" || len(d.redeemed) != 1 {
		t.Errorf("a second time: %s, %v, redeemed %d", id, err, len(d.redeemed))
	}
	if again := d.begin(t); again.Get("state") == sent.Get("state") || again.Get("code_challenge") == sent.Get("code_challenge") {
		t.Error("two sign-ins have the same state or challenge")
	}
}

func TestWhatDoesNotBelongToASignInIsRefused(t *testing.T) {
	other := erika
	other.ID = "usr_2"
	elsewhere := erika
	elsewhere.WorkspaceID = "wsp_2"
	for name, test := range map[string]struct {
		actor  account.Actor
		change func(*desk, url.Values)
		says   string
	}{
		"no state": {erika, func(_ *desk, q url.Values) { q.Del("state") }, "begun here"},
		"forged":   {erika, func(_ *desk, q url.Values) { q.Set("state", "Zm9yZ2Vk") }, "begun here"},
		"changed": {erika, func(_ *desk, q url.Values) {
			s := []byte(q.Get("state"))
			if s[40]++; s[40] == 'z'+1 || s[40] == 'Z'+1 || s[40] == '9'+1 || s[40] == '-'+1 || s[40] == '_'+1 {
				s[40] = 'A' // within the alphabet
			}
			q.Set("state", string(s))
		}, "begun here"},
		"of another relay":     {erika, func(_ *desk, q url.Values) { q.Set("state", newDesk(t).begin(t).Get("state")) }, "begun here"},
		"of another person":    {other, func(*desk, url.Values) {}, "Somebody else"},
		"of another workspace": {elsewhere, func(*desk, url.Values) {}, "Somebody else"},
		"too late":             {erika, func(d *desk, _ url.Values) { d.now = d.now.Add(stateLife) }, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			back := url.Values{"state": {d.begin(t).Get("state")}, "code": {"c"}}
			test.change(d, back)
			_, err := d.Finish(context.Background(), test.actor, back, "req")
			if p := proto.AsError(err); p == nil || p.Code != proto.CodeValidation || !strings.Contains(p.Detail, test.says) || len(d.redeemed) != 0 {
				t.Errorf("got %v, redeemed %d", err, len(d.redeemed))
			}
		})
	}
}

func TestARefusedSignInSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*desk, url.Values)
		says   string
	}{
		"not allowed": {func(_ *desk, q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("error_description", "no")
		}, "access_denied (no). Whoever signed in"},
		"neither": {func(_ *desk, q url.Values) { q.Del("code") }, "without a code"},
		"changed": {func(d *desk, _ url.Values) {
			changed := *d.c.Auth.OAuth2
			changed.ClientID = "another"
			d.c.Auth.OAuth2 = &changed
		}, "was changed while"},
		"endpoint": {func(d *desk, _ url.Values) {
			d.fails = &session.Failed{Why: session.TokenRefused, Detail: "it said no"}
		}, "it said no"},
		"road": {func(d *desk, _ url.Values) {
			d.fails = &proto.Error{Code: proto.CodeAgentOffline, Detail: "the agent is away"}
		}, "the agent is away"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			back := url.Values{"state": {d.begin(t).Get("state")}, "code": {"c"}}
			test.change(d, back)
			id, err := d.Finish(context.Background(), erika, back, "req")
			var refused *Refused
			if !errors.As(err, &refused) || id != "con_1" || !strings.Contains(refused.Detail, test.says) || d.noted != 0 {
				t.Errorf("got %v for %q", err, id)
			}
		})
	}
}

func TestOnlyConnectionsThatNeedAPersonBegin(t *testing.T) {
	d := newDesk(t)
	d.c.Auth.OAuth2.Grant = connection.ClientCredentials
	if _, err := d.Begin(context.Background(), erika, "con_1"); proto.AsError(err) == nil {
		t.Errorf("got %v", err)
	}
}
