package session

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sallyport/relay/connection"
)

// revocations has an endpoint take revocations. taken waits for n of them: which
// token, and by whose proof; more is how many others came.
func revocations(t *testing.T, e *endpoint, status int) (taken func(n int) []string, more func() int) {
	got := make(chan string, 20)
	tokens := e.Config.Handler
	e.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/revoke" {
			tokens.ServeHTTP(w, r)
			return
		}
		id, secret, _ := r.BasicAuth()
		got <- strings.TrimSpace(strings.Join([]string{r.Method, r.PostFormValue("token_type_hint"), r.PostFormValue("token"), id, secret, r.PostFormValue("client_id"), r.PostFormValue("client_secret")}, " "))
		w.WriteHeader(status)
	})
	return func(n int) (all []string) {
		t.Helper()
		for range n {
			select {
			case one := <-got:
				all = append(all, one)
			case <-time.After(20 * time.Second):
				t.Fatalf("revoked: %v, want %d", all, n)
			}
		}
		return all
	}, func() int { return len(got) }
}

func TestATokenThatIsNotNeededAnyMoreIsRevoked(t *testing.T) {
	const byClient = " sallyport s3cret+%2B%26"
	drop := func(t *testing.T, k *Keeper, c *connection.Connection, stored bool) {
		t.Helper()
		d := Dropped{WorkspaceID: c.WorkspaceID, ConnectionID: c.ID, Connection: c}
		if stored {
			s, err := k.store.LoadSession(t.Context(), c.WorkspaceID, c.ID)
			must(err)
			d.Session = &s
		}
		must(k.Drop(t.Context(), d))
	}
	for name, test := range map[string]struct {
		grant  string
		status int
		do     func(t *testing.T, k *Keeper, store Store, c *connection.Connection, at *clock)
		want   []string
	}{
		"signed out": {connection.AuthorizationCode, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, _ *clock) {
			drop(t, k, c, false)
		}, []string{"POST refresh_token refresh-1" + byClient, "POST access_token access-1" + byClient}},
		"signed out, and refused": {connection.AuthorizationCode, 400, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, _ *clock) {
			drop(t, k, c, false)
		}, []string{"POST refresh_token refresh-1" + byClient, "POST access_token access-1" + byClient}},
		"signed out after the access token's end": {connection.AuthorizationCode, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, at *clock) {
			at.advance(2 * time.Hour)
			drop(t, k, c, false)
		}, []string{"POST refresh_token refresh-1" + byClient}},
		"a service": {connection.ClientCredentials, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, _ *clock) {
			drop(t, k, c, true)
		}, []string{"POST access_token access-1" + byClient}},
		"a service after its token's end": {connection.ClientCredentials, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, at *clock) {
			at.advance(2 * time.Hour)
			drop(t, k, c, true)
		}, nil},
		"credentials in the body": {connection.ClientCredentials, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, _ *clock) {
			c.Auth.OAuth2.ClientAuthentication = connection.ClientInBody
			_, err := k.SignIn(t.Context(), cloud(t), c, "req", "it was changed")
			must(err)
			drop(t, k, c, true)
		}, []string{"POST access_token access-2   sallyport s3cret +&"}},
		"refreshed, then signed out": {connection.AuthorizationCode, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, at *clock) {
			_, err := k.SignIn(t.Context(), cloud(t), c, "req", "the connection was tested")
			must(err)
			drop(t, k, c, true)
		}, []string{"POST refresh_token refresh-2" + byClient, "POST access_token access-2" + byClient}},
		"refreshed by another relay, then signed out": {connection.AuthorizationCode, 200, func(t *testing.T, k *Keeper, store Store, c *connection.Connection, at *clock) {
			_, err := newKeeper(t, store, at, zap.NewNop()).SignIn(t.Context(), cloud(t), c, "req", "the connection was tested")
			must(err)
			s, err := store.LoadSession(t.Context(), c.WorkspaceID, c.ID)
			must(err)
			s.ID = "ses_other" // a relay's ids are its own
			must(store.SaveSession(t.Context(), c.WorkspaceID, s))
			drop(t, k, c, true)
		}, []string{"POST refresh_token refresh-2" + byClient, "POST access_token access-2" + byClient}},
		"no revocation URI": {connection.AuthorizationCode, 200, func(t *testing.T, k *Keeper, _ Store, c *connection.Connection, _ *clock) {
			c.Auth.OAuth2.RevocationURI = ""
			drop(t, k, c, true)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, at, store := newEndpoint(t), newClock(), &memory{}
			revoked, more := revocations(t, e, test.status)
			k, c := newKeeper(t, store, at, zap.NewNop()), e.connection(test.grant)
			k.roads = everywhere{cloud(t)}
			c.Auth.OAuth2.RevocationURI = e.URL + "/revoke"
			if test.grant == connection.AuthorizationCode {
				_, err := k.Redeem(t.Context(), cloud(t), c, Code{Code: "c"}, "req", "a person signed in")
				must(err)
			} else {
				_, err := k.Current(t.Context(), cloud(t), c, "req")
				must(err)
			}
			test.do(t, k, store, c, at)
			if diff := cmp.Diff(test.want, revoked(len(test.want))); diff != "" {
				t.Error(diff)
			}
			k.Close() // which waits for what it has begun
			if n := more(); n > 0 {
				t.Errorf("%d revocations too many", n)
			}
		})
	}
}

func TestHowATokenIsRevokedIsNoReasonToSignInAnew(t *testing.T) {
	e := newEndpoint(t)
	c, other := e.connection(connection.AuthorizationCode), e.connection(connection.AuthorizationCode)
	other.Auth.OAuth2.RevocationURI = "https://login.test/revoke?key={{secret.other}}"
	if Settings(c) != Settings(other) {
		t.Error("a session is not good any more after a revocation URI was entered")
	}
}
