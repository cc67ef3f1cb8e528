package session

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"sallyport/relay/connection"
)

// Token is what an OAuth 2.0 sign-in brings (RFC 6749, section 5.1). It is for
// the store alone, sealed, and is never shown.
type Token struct {
	Access  string    `json:"access"`
	Type    string    `json:"type"` // such as Bearer
	Refresh string    `json:"refresh,omitempty"`
	At      time.Time `json:"at"`               // when it was issued
	Expires time.Time `json:"expires,omitzero"` // zero: the server does not say
}

// newToken is a token as the library has read it. Its times are by the
// machine's clock; only the difference counts.
func newToken(t *oauth2.Token, now time.Time) *Token {
	kept := &Token{Access: t.AccessToken, Type: t.Type(), Refresh: t.RefreshToken, At: now.UTC()}
	if !t.Expiry.IsZero() {
		kept.Expires = now.Add(time.Until(t.Expiry).Round(time.Second)).UTC()
	}
	return kept
}

// tokenMargin is how long before its end a token is not used any more: a
// request may take that long to arrive, and clocks differ.
const tokenMargin = 10 * time.Second

// live reports whether the token may be used. There may be none at all.
func (t *Token) live(now time.Time) bool {
	return t != nil && (t.Expires.IsZero() || now.Add(tokenMargin).Before(t.Expires))
}

// authorization is the header field by which requests show the token.
func (t *Token) authorization() string {
	if t == nil {
		return ""
	}
	return t.Type + " " + t.Access
}

// refreshable reports whether the session can go on by itself.
func (s *Session) refreshable() bool { return s != nil && s.Token != nil && s.Token.Refresh != "" }

// hidden are the parts that must not be shown.
func (t *Token) hidden() []string {
	if t == nil {
		return nil
	}
	return []string{t.Access, t.Refresh}
}

// Secrets are what of the attempt must not be shown, beside the connection's own
// secrets.
func (a *Attempt) Secrets() []string { return a.Token.hidden() }

// withToken is c with the token of a sign-in, for what is sent by it.
func withToken(c *connection.Connection, t *Token) *connection.Connection {
	return c.WithAuthorization(t.authorization())
}

// Connection is c with the token and the values of the session, for a request by it. There may
// be no session at all.
func (h *Held) Connection(c *connection.Connection) *connection.Connection {
	if h == nil {
		return c
	}
	return withToken(h.withValues(c), h.session.Token)
}

// Connection is c with the token and the values that the sign-in brought, for what is sent by
// it.
func (a *Attempt) Connection(c *connection.Connection) *connection.Connection {
	if a == nil {
		return c
	}
	return withToken(c.WithSignIn(current(c.Auth.Cookie, a.values, a.Jar)), a.Token)
}

// live reports whether the session can be used as far as its own parts tell.
func (h *Held) live(now time.Time) bool {
	if h.session.Token != nil {
		return h.session.Token.live(now)
	}
	return h.session.ByValue || h.Jar.live()
}

// expired says why the session is not live, for a person.
func (h *Held) expired() string {
	if h.session.Token != nil {
		return "the token had expired"
	}
	return "the session's cookies had expired"
}

// Refreshable reports whether the session's token can be replaced without a
// person.
func (h *Held) Refreshable() bool { return h.session.refreshable() }

// Redeem signs in by the code that a person has brought from the application,
// in the place of whatever session there was. As SignIn, it waits for a sign-in
// under way.
func (k *Keeper) Redeem(ctx context.Context, rt http.RoundTripper, c *connection.Connection, code Code, requestID, reason string) (*Attempt, error) {
	return k.signInNow(ctx, journey{rt: rt, c: c, requestID: requestID, reason: reason, code: &code, asked: true})
}

// keepToken writes a session with a token before anybody uses it: a refresh
// token may be good for one use only, and the one before is worth nothing now.
func (k *Keeper) keepToken(ctx context.Context, e *entry, h *Held, drops int) {
	e.saving.Lock()
	defer e.saving.Unlock()
	k.mu.Lock()
	dropped := e.drops != drops
	k.mu.Unlock()
	if dropped {
		return
	}
	s, _ := h.snapshot()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := k.store.SaveSession(ctx, h.workspaceID, s); err != nil {
		k.log.Error("token can't be stored; it is lost when the relay stops", zap.String("connection", s.ConnectionID), zap.Error(err))
	}
}

// ends reports whether a failed sign-in shows that what is stored is of no use
// any more. What a person has brought about is kept for as long as it may yet
// serve: the token endpoint may only be in trouble.
func (f *Failed) ends(j journey) bool {
	if !j.c.Auth.NeedsPerson() {
		return j.staleID != ""
	}
	return f.Why == NeedsPerson && f.Attempt != nil && len(f.Attempt.Exchange.Hops) > 0
}

// Life is how long the token was to last when it was issued; 0: not said.
func (t *Token) Life() time.Duration {
	if t.Expires.IsZero() {
		return 0
	}
	return t.Expires.Sub(t.At)
}
