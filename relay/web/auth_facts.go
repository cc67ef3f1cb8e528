package web

import (
	"fmt"

	"sallyport/relay/connection"
)

// AuthFact is how the connection says who sends a request, in a sentence
// without its credentials; empty where the type says it all.
func (v connectionView) AuthFact() string {
	switch a := v.Auth; {
	case a.Type == connection.AuthCookie && a.Cookie != nil:
		success := "any 2xx"
		if a.Cookie.SuccessStatusCode != 0 {
			success = fmt.Sprint(a.Cookie.SuccessStatusCode)
		}
		fact := fmt.Sprintf("%s %s, success is %s with a cookie", a.Cookie.Method, a.Cookie.URI, success)
		if first := a.Cookie.Before; first != nil {
			fact = fmt.Sprintf("%s %s, then %s", first.Method, first.URI, fact)
		}
		if out := a.Cookie.SignOut; out != nil {
			fact += fmt.Sprintf("; signed out by %s %s", out.Method, out.URI)
		}
		return fact
	case a.Type == connection.AuthBasic && a.Basic != nil:
		return "as " + a.Basic.Username + ", with each request"
	case a.Type == connection.AuthDigest && a.Digest != nil:
		return "as " + a.Digest.Username + ", by a proof with each request"
	case a.Type == connection.AuthOAuth2 && a.OAuth2 != nil && a.OAuth2.Grant == connection.AuthorizationCode:
		return "a person signs in at " + a.OAuth2.AuthorizationURI + ", " + tokenFact(a.OAuth2)
	case a.Type == connection.AuthOAuth2 && a.OAuth2 != nil:
		return "by client credentials, " + tokenFact(a.OAuth2)
	case a.Type == connection.AuthToken && a.Token != nil && a.Token.In == connection.InQuery:
		return "in the query parameter " + a.Token.Name + " of each request"
	case a.Type == connection.AuthToken && a.Token != nil:
		return "in the header " + a.Token.Name + " of each request"
	case a.Type == connection.AuthCustom && a.Custom != nil:
		return fmt.Sprintf("%s, %s, %s with each request", plural(len(a.Custom.Headers), "header"),
			plural(len(a.Custom.Query), "query parameter"), plural(len(a.Custom.Body), "body field"))
	}
	return ""
}

// tokenFact says where tokens come from, and where they are revoked.
func tokenFact(how *connection.OAuth2Auth) string {
	fact := "tokens come from " + how.TokenURI
	if how.RevocationURI != "" {
		fact += "; revoked at " + how.RevocationURI
	}
	return fact
}
