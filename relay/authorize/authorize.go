// Package authorize leads a person to an application's own sign-in and back, for
// connections by OAuth 2.0 whose grant is an authorization code (RFC 6749,
// section 4.1, with the proof key of RFC 7636). The pages call it; the token
// that comes of it is package session's.
//
// Begin makes the address to which a browser is sent, Finish takes what the
// browser brings back. Between them nothing is kept: the state that travels with
// the browser holds all that is needed, sealed, so that whichever relay on the
// same store is asked can finish what another began.
package authorize

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// CallbackPath is where the application sends the browser back to, below the
// relay's public URL. It is the redirect URI to register there.
const CallbackPath = "/oauth/callback"

// Connections are the saved connections. *registry.Registry implements it.
type Connections interface {
	Resolve(ctx context.Context, actor account.Actor, id string) (*connection.Connection, error)
	// SignedIn notes who signed a connection in.
	SignedIn(ctx context.Context, actor account.Actor, id string) error
}

// Sessions exchanges codes. *session.Keeper implements it.
type Sessions interface {
	Redeem(ctx context.Context, rt http.RoundTripper, c *connection.Connection, code session.Code, requestID, reason string) (*session.Attempt, error)
}

// Roads finds the road of a connection. *road.Roads implements it.
type Roads interface {
	For(c *connection.Connection) http.RoundTripper
}

// Sealer keeps the state from eyes and hands on its way. *vault.Vault
// implements it.
type Sealer interface {
	Seal(plain []byte, associated string) ([]byte, error)
	Open(sealed []byte, associated string) ([]byte, error)
}

// Options of a Desk. All are required.
type Options struct {
	Connections Connections
	Sessions    Sessions
	Roads       Roads
	Sealer      Sealer
	PublicURL   *url.URL
	Clock       func() time.Time
}

// Desk is safe for concurrent use.
type Desk struct {
	Options

	mu       sync.Mutex           // guards the following
	finished map[string]time.Time // states that were used, until they expire
}

// New returns a Desk.
func New(o Options) *Desk { return &Desk{Options: o, finished: make(map[string]time.Time)} }

// state is what a browser takes to the application and back.
type state struct {
	Connection string    `json:"c"`
	Workspace  string    `json:"w"`
	Actor      string    `json:"a"` // who began: nobody else may finish
	Verifier   string    `json:"v"`
	Settings   string    `json:"s"` // session.Settings of the connection then
	Expires    time.Time `json:"e"`
}

const (
	// stateLife is how long a person may take to sign in.
	stateLife = 15 * time.Minute
	sealedFor = "oauth/state"
)

// RedirectURI is where the application sends browsers back to.
func (d *Desk) RedirectURI() string {
	u := *d.PublicURL
	return u.JoinPath(CallbackPath).String()
}

// Begin is the address at which the actor signs in with the application.
func (d *Desk) Begin(ctx context.Context, actor account.Actor, id string) (string, error) {
	c, err := d.Connections.Resolve(ctx, actor, id)
	if err != nil {
		return "", err
	}
	if !c.Auth.NeedsPerson() {
		return "", &proto.Error{Code: proto.CodeValidation, Detail: "Nobody has to sign in for this connection: it does so by itself, or not at all.",
			Hint: "Choose OAuth 2.0 with the grant authorization code, if a person is to sign in."}
	}
	at, err := c.URL(c.Auth.OAuth2.AuthorizationURI, nil)
	if err != nil {
		return "", unusable("The authorization URI can't be used: ", err)
	}
	client, err := c.OAuth2Client(&connection.Marks{})
	if err != nil {
		return "", unusable("The sign-in can't be asked for: ", err)
	}
	s := state{Connection: id, Workspace: actor.WorkspaceID, Actor: actor.ID, Verifier: oauth2.GenerateVerifier(),
		Settings: session.Settings(c), Expires: d.Clock().Add(stateLife)}
	sealed, err := d.seal(s)
	if err != nil {
		return "", err
	}
	conf := oauth2.Config{ClientID: client.ID, RedirectURL: d.RedirectURI(), Scopes: client.Scopes, Endpoint: oauth2.Endpoint{AuthURL: at.String()}}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(s.Verifier)}
	for name, values := range client.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	return conf.AuthCodeURL(sealed, options...), nil
}

// Refused is a sign-in that came back without a token.
type Refused struct {
	Connection *connection.Connection
	Detail     string
	Failed     *session.Failed // of the token endpoint; nil: it was not asked
}

func (r *Refused) Error() string { return r.Detail }

// Finish takes the query with which the browser came back, and returns the
// connection that it belongs to. The error is a *Refused where the application
// said no.
func (d *Desk) Finish(ctx context.Context, actor account.Actor, query url.Values, requestID string) (string, error) {
	s, err := d.open(query.Get("state"), actor)
	if err != nil {
		return "", err
	}
	if !d.first(query.Get("state"), s.Expires) {
		return s.Connection, nil // loaded again: a code must not be shown twice
	}
	c, err := d.Connections.Resolve(ctx, actor, s.Connection)
	if err != nil {
		return "", err
	}
	switch code := query.Get("code"); {
	case query.Get("error") != "":
		return s.Connection, &Refused{Connection: c, Detail: refusal(query.Get("error"), query.Get("error_description"))}
	case code == "":
		return s.Connection, &Refused{Connection: c, Detail: "The application sent the browser back without a code and without an error."}
	case session.Settings(c) != s.Settings:
		return s.Connection, &Refused{Connection: c, Detail: "The connection was changed while you signed in, so that the sign-in does not fit any more."}
	default:
		how := session.Code{Code: code, Verifier: s.Verifier, RedirectURI: d.RedirectURI()}
		_, err = d.Sessions.Redeem(ctx, d.Roads.For(c), c, how, requestID, actor.Name+" signed in with the application")
	}
	var failed *session.Failed
	if errors.As(err, &failed) {
		return s.Connection, &Refused{Connection: c, Detail: failed.Detail, Failed: failed}
	}
	if e := proto.AsError(err); e != nil {
		return s.Connection, &Refused{Connection: c, Detail: e.Detail}
	}
	if err != nil {
		return s.Connection, err
	}
	return s.Connection, d.Connections.SignedIn(ctx, actor, s.Connection)
}

// refusal puts the errors of RFC 6749, section 4.1.2.1, into words. The texts
// come from whoever sent the browser here, so they are quoted as such.
func refusal(code, description string) string {
	said := "The application refused the sign-in: " + shorten(code)
	if description != "" {
		said += " (" + shorten(description) + ")"
	}
	said += "."
	switch code {
	case "access_denied":
		return said + " Whoever signed in there did not allow it."
	case "invalid_scope":
		return said + " Check the scopes of the connection."
	case "unauthorized_client", "unsupported_response_type":
		return said + " The client is not set up there for the grant authorization code."
	}
	return said
}

func shorten(text string) string {
	const most = 200
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func unusable(what string, err error) error {
	return &proto.Error{Code: proto.CodeValidation, Detail: what + err.Error(), Hint: "Edit the connection.", Err: err}
}

func (d *Desk) seal(s state) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	sealed, err := d.Sealer.Seal(plain, sealedFor)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads a state that this actor's browser brought back in time.
func (d *Desk) open(text string, actor account.Actor) (s state, err error) {
	stale := func(detail string) (state, error) {
		return state{}, &proto.Error{Code: proto.CodeValidation, Detail: detail, Hint: "Open the connection and press “Sign in with the application” again."}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || text == "" {
		return stale("The address does not belong to a sign-in that was begun here.")
	}
	plain, err := d.Sealer.Open(sealed, sealedFor)
	if err != nil || json.Unmarshal(plain, &s) != nil {
		return stale("The address does not belong to a sign-in that was begun here.")
	}
	switch {
	case s.Actor != actor.ID || s.Workspace != actor.WorkspaceID:
		return stale("Somebody else began this sign-in.")
	case !d.Clock().Before(s.Expires):
		return stale("The sign-in took too long, so that its address is no longer good.")
	}
	return s, nil
}

// first reports whether the state is used for the first time.
func (d *Desk) first(text string, until time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Clock()
	for old, end := range d.finished {
		if !now.Before(end) {
			delete(d.finished, old)
		}
	}
	if _, used := d.finished[text]; used {
		return false
	}
	d.finished[text] = until
	return true
}
