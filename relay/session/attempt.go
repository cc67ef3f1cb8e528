package session

import (
	"context"
	"net/http"
	"slices"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// Attempt is one sign-in: what was sent and answered, and what came of it.
type Attempt struct {
	Session  Session // only of a sign-in that succeeded
	Exchange *road.Exchange
	Jar      *Jar
	Token    *Token // of OAuth 2.0, once there is one
	Refused  []RefusedCookie
	// Unused are cookies that were accepted, but that no ping or request will
	// carry: the sign-in succeeds, and what follows it fails.
	Unused []RefusedCookie
	First  *FirstAnswer // of a sign-in chain; nil: there is none, or it was not sent
	Values []FoundValue // that the answer to the sign-in itself was to give
	values map[string]string
}

// Why a sign-in failed although the application answered.
type Why string

const (
	WrongStatus       Why = "wrong_status"
	NoCookie          Why = "no_cookie"           // nothing was set
	AllCookiesRefused Why = "all_cookies_refused" // something was set, all against the rules
	NoValue           Why = "no_value"            // an answer lacks a value that was to be taken from it
	SignInPage        Why = "sign_in_page"        // the page with the password field came again
)

// Failed is a sign-in that the application answered, but not with a session.
type Failed struct {
	Attempt *Attempt // nil in what a request fails with
	Why     Why
	// Detail is a sentence for a person, with the status and the start of the
	// answer's body, secrets masked.
	Detail string

	// OAuthError is the code of a token endpoint's refusal, such as
	// invalid_client; "" where it gave none.
	OAuthError string

	status int
	at     time.Time
	// harmless: no credentials were sent, so no account can be locked for it.
	harmless bool
}

func (f *Failed) Error() string { return "sign-in failed: " + f.Detail }

// Status is the status of the answer that counted.
func (f *Failed) Status() int { return f.status }

// summary is f without the exchange, to be kept for longer.
func (f *Failed) summary() *Failed {
	return &Failed{Why: f.Why, Detail: f.Detail, OAuthError: f.OAuthError, status: f.status, at: f.at, harmless: f.harmless}
}

// signInTimeout bounds one sign-in, redirects included. Directory servers
// behind a login can be slow; nobody waits for longer than this.
const signInTimeout = 30 * time.Second

// order is what a sign-in is made with.
type order struct {
	rt        http.RoundTripper
	c         *connection.Connection
	requestID string
	former    *Session // what the store has of the session before; nil: nothing
	code      *Code    // that a person has brought; nil: none
	clock     func() time.Time
}

// attempt signs in once, as the connection's type does it. The error is a
// *proto.Error where there was no answer, and *Failed where the answer was no
// session. The Attempt is never nil.
func (o order) attempt(ctx context.Context) (*Attempt, error) {
	a := &Attempt{Jar: newJar(o.clock), Exchange: &road.Exchange{}}
	switch {
	case o.c.Auth.Type == connection.AuthCookie && o.c.Auth.Cookie != nil:
		return a, o.byCookie(ctx, a)
	case o.c.Auth.Type == connection.AuthOAuth2 && o.c.Auth.OAuth2 != nil:
		return a, o.byOAuth2(ctx, a)
	default:
		return a, &proto.Error{
			Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent,
			Detail: "The connection does not say how it is signed in to.", Hint: "Open it, complete its authentication and save it.",
		}
	}
}

// Unwelcome are the cookies that were refused although the application meant them
// to be kept: one that has ended, or that is empty, only takes an old one away.
func (a *Attempt) Unwelcome() []RefusedCookie {
	return slices.DeleteFunc(slices.Clone(a.Refused), func(c RefusedCookie) bool {
		return c.Rule == RuleExpired || c.Rule == RuleEmptyValue
	})
}
