package probe

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// tokens: a sign-in by OAuth 2.0 that failed. The codes are those of RFC 6749,
// section 5.2.
func (e evidence) tokens() *advice {
	how := e.c.Auth.OAuth2
	switch {
	case e.why == session.NeedsPerson && e.c.ID == "":
		return &advice{ID: "sign-in-needed", Text: "Save the connection first. Then press “Sign in with the application” on its page, and test it there."}
	case e.why == session.NeedsPerson:
		return &advice{ID: "sign-in-needed", Text: "Press “Sign in with the application” on the connection’s page. Ask there for lasting access, too, if the application has a scope for it, such as offline_access: without it there is nothing to refresh the token with."}
	case !e.answered():
		return nil
	case e.why == session.NoToken:
		return &advice{ID: "no-token", Text: fmt.Sprintf("%s answers, but not as a token endpoint does. Check the token URI against the application’s API guide.", bare(e.exchange.Last().URL))}
	}
	switch e.oauthError {
	case "invalid_client":
		h := &advice{ID: "invalid-client", Text: "invalid_client: check client id and client secret, letter by letter, and that they are sent as the application wants them."}
		other, label := connection.ClientInBody, "Send them in the body"
		if how.ClientAuthentication == connection.ClientInBody {
			other, label = connection.ClientByBasic, "Send them by Basic"
		}
		h.Fix = &Fix{Label: label, Field: "auth.oauth2.clientAuthentication", Value: other}
		return h
	case "invalid_grant":
		return &advice{ID: "invalid-grant", Text: "invalid_grant: what was sent as a proof is no longer good, or was made for another client or redirect address. Sign in with the application again."}
	case "unauthorized_client":
		return &advice{ID: "unauthorized-client", Text: fmt.Sprintf("unauthorized_client: the application does not let this client use the grant %s. Allow it there, or choose the other grant.", how.Grant)}
	case "unsupported_grant_type":
		return &advice{ID: "unsupported-grant", Text: fmt.Sprintf("unsupported_grant_type: this token endpoint does not know the grant %s. Choose the other grant, or check the token URI.", how.Grant)}
	case "invalid_scope", "invalid_target":
		return &advice{ID: "invalid-scope", Text: e.oauthError + ": the application does not know what the token is asked to be good for. Check the scopes (" + orNone(strings.Join(how.Scopes, " ")) + ") and the parameters against its API guide."}
	case "invalid_request":
		return &advice{ID: "invalid-token-request", Text: "invalid_request: a parameter is missing or stands there twice. Some applications want audience or resource among the parameters, or the client’s credentials in another place."}
	}
	switch s := e.status(); {
	case s == http.StatusNotFound || s == http.StatusGone || s == http.StatusMethodNotAllowed:
		return &advice{ID: "not-found", Text: fmt.Sprintf("There is no token endpoint at %s. Check the token URI: a relative one continues the base URI.", bare(e.exchange.Last().URL))}
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return &advice{ID: "invalid-client", Text: "The token endpoint does not know this client: check client id and client secret."}
	case s >= 300 && s < 400:
		return &advice{ID: "token-redirect", Text: "The token endpoint redirects, which is not followed, since credentials were sent. Enter the address that it leads to as the token URI, if it is right."}
	case s >= 500:
		return &advice{ID: "server-error", Text: "The token endpoint itself failed. Try again; if it fails each time, look into its own log."}
	}
	return nil
}

// TokenHint says what to change where a person's sign-in was refused by the
// token endpoint; empty where nothing is known of it.
func TokenHint(c *connection.Connection, f *session.Failed) string {
	e := evidence{c: c, step: StepSignIn, why: f.Why, oauthError: f.OAuthError, attempt: f.Attempt}
	if f.Attempt != nil {
		e.exchange = f.Attempt.Exchange
	}
	if h := e.tokens(); h != nil {
		return h.Text
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// refusedToken: a 401 to a token that was had a moment ago.
func (e evidence) refusedToken() *advice {
	return &advice{ID: "ping-401", Text: "The sign-in went well, and yet the application does not accept the token: it may be meant for another API. Check the scopes and, where the application wants one, the parameter audience or resource." + e.challenge()}
}

// tokenMessage tells what the sign-in brought, without any of it.
func tokenMessage(a *session.Attempt) string {
	if len(a.Exchange.Hops) == 0 {
		return "The token of the last sign-in is still good."
	}
	message := fmt.Sprintf("The token endpoint answered %s with a token", statusText(a.Exchange.Last().Status))
	if life := a.Token.Life(); life > 0 {
		message += " that is good for " + shortDuration(life)
	}
	if a.Token.Refresh != "" {
		message += ", and it can be refreshed"
	}
	return message + "."
}

// shortDuration is a span of time in its largest whole unit.
func shortDuration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%.2g h", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.2g min", d.Minutes())
	default:
		return fmt.Sprintf("%.2g s", d.Seconds())
	}
}
