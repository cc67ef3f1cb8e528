package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// Why a sign-in by OAuth 2.0 failed.
const (
	TokenRefused Why = "token_refused" // the token endpoint said no (RFC 6749, section 5.2)
	NoToken      Why = "no_token"      // it said yes, and gave no token
	// NeedsPerson: there is nothing to sign in with, or it is no longer good; a
	// person has to sign in with the application by a browser.
	NeedsPerson Why = "needs_person"
)

// Code is what a browser brought back from the application's sign-in, to be
// exchanged for a token.
type Code struct {
	Code        string
	Verifier    string // of the challenge that the browser took there (RFC 7636)
	RedirectURI string // to which it was brought: the very same
}

// byOAuth2 gets a token. For authorization codes that is a refresh of the token
// before, unless a person has just brought a code.
func (o order) byOAuth2(ctx context.Context, a *Attempt) error {
	if o.alone() {
		switch {
		case o.former == nil || o.former.Token == nil:
			return a.needsPerson("Nobody has signed in with the application yet.")
		case o.hopeless():
			return a.needsPerson("The sign-in with the application has expired, and it gave nothing to refresh it with.")
		}
		a.Token = o.former.Token
		return nil
	}
	marks := &connection.Marks{}
	client, err := o.c.OAuth2Client(marks)
	if err != nil {
		return &proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err, Detail: "The token endpoint can't be asked: " + err.Error()}
	}
	web, exchange := road.Client(o.rt, o.c, o.requestID, signInTimeout, marks)
	a.Exchange = exchange
	token, err := o.ask(context.WithValue(ctx, oauth2.HTTPClient, web), client)
	if err == nil && strings.ContainsFunc(token.AccessToken, func(c rune) bool { return c <= ' ' || c > '~' }) {
		err = errors.New("the access token can't stand in a header field")
	}
	if err != nil {
		return a.tokenFailed(o, err)
	}
	a.Token = newToken(token, o.clock())
	return nil
}

// alone reports whether there is nothing to ask a token endpoint with: a person
// has to bring it, and has not.
func (o order) alone() bool {
	return o.c.Auth.NeedsPerson() && o.code == nil && !o.former.refreshable()
}

// hopeless reports whether the sign-in fails before anybody is asked.
func (o order) hopeless() bool {
	return o.alone() && (o.former == nil || !o.former.Token.live(o.clock()))
}

// ask asks the token endpoint in the way of the grant.
func (o order) ask(ctx context.Context, client connection.OAuth2Client) (*oauth2.Token, error) {
	style := oauth2.AuthStyleInHeader
	if client.InBody {
		style = oauth2.AuthStyleInParams
	}
	if !o.c.Auth.NeedsPerson() {
		c := clientcredentials.Config{ClientID: client.ID, ClientSecret: client.Secret, TokenURL: client.TokenURL.String(),
			Scopes: client.Scopes, EndpointParams: client.Parameters, AuthStyle: style}
		return c.Token(ctx)
	}
	c := oauth2.Config{ClientID: client.ID, ClientSecret: client.Secret, Scopes: client.Scopes,
		Endpoint: oauth2.Endpoint{TokenURL: client.TokenURL.String(), AuthStyle: style}}
	if o.code == nil {
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: o.former.Token.Refresh}).Token()
	}
	c.RedirectURL = o.code.RedirectURI
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(o.code.Verifier)}
	for name, values := range client.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	return c.Exchange(ctx, o.code.Code, options...)
}

// needsPerson is the failure that only a person can mend.
func (a *Attempt) needsPerson(detail string) *Failed {
	return &Failed{Attempt: a, Why: NeedsPerson, at: a.Jar.clock(), Detail: detail + " A person has to sign in with the application, on this connection's page."}
}

// tokenFailed is why there is no token.
func (a *Attempt) tokenFailed(o order, err error) error {
	if failure := proto.AsError(err); failure != nil {
		return failure
	}
	if len(a.Exchange.Hops) == 0 || a.Exchange.Last().Status == 0 {
		return road.Failure(context.Background(), err)
	}
	status := a.Exchange.Last().Status
	answered := fmt.Sprintf("The token endpoint answered %d", status)
	if text := http.StatusText(status); text != "" {
		answered += " " + text
	}
	f := &Failed{Attempt: a, Why: TokenRefused, status: status, at: a.Jar.clock()}
	var refused *oauth2.RetrieveError
	switch {
	case !errors.As(err, &refused):
		f.Why = NoToken
		f.Detail = answered + ", but without an access token that can be used."
	case refused.ErrorCode == "":
		f.Detail = answered + "."
	default:
		f.OAuthError = shortened(hide(refused.ErrorCode, o.c, a.Exchange))
		f.Detail = answered + ": " + f.OAuthError
		if refused.ErrorDescription != "" {
			f.Detail += " (" + shortened(hide(refused.ErrorDescription, o.c, a.Exchange)) + ")"
		}
		f.Detail += "."
	}
	if f.OAuthError == "" {
		if start := preview(a.Exchange.Body, o.c, a.Exchange); start != "" && f.Why != NoToken {
			f.Detail += " The answer begins: " + start
		}
	}
	if o.c.Auth.NeedsPerson() && o.code == nil && f.OAuthError == "invalid_grant" {
		f.Why = NeedsPerson
		f.Detail += " The sign-in has been revoked or has expired there. A person has to sign in with the application again, on this connection's page."
	}
	return f
}
