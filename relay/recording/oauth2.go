package recording

import (
	"net/url"
	"strings"

	"sallyport/relay/connection"
)

// isTokenRequest tells the request for a token by client credentials (RFC 6749,
// section 4.4.2), whose body is a form.
func isTokenRequest(r *request) bool {
	for _, l := range formLeaves(r.body) {
		if l.name == "grant_type" && l.value == connection.ClientCredentials {
			return r.method == "POST"
		}
	}
	return false
}

// clientCredentials makes the request the sign-in by OAuth 2.0.
func (d *Draft) clientCredentials(base *url.URL, r *request) {
	how := &connection.OAuth2Auth{Grant: connection.ClientCredentials, TokenURI: relative(base, r.url, r.url.RawQuery), ClientAuthentication: connection.ClientInBody}
	if basic := d.Spec.Auth.Basic; basic != nil {
		how.ClientID, how.ClientSecret, how.ClientAuthentication = basic.Username, basic.Password, connection.ClientByBasic
	}
	for _, l := range formLeaves(r.body) {
		switch l.name {
		case "grant_type":
		case "client_id":
			how.ClientID = l.value
		case "client_secret":
			how.ClientSecret = d.keep("client_secret", l.value)
		case "scope":
			how.Scopes = strings.Fields(l.value)
		default:
			how.Parameters = append(how.Parameters, connection.Pair{Name: l.name, Value: l.value})
		}
	}
	d.Spec.Auth = connection.Auth{Type: connection.AuthOAuth2, OAuth2: how}
	d.Spec.MediaType = connection.JSON // of the API; a token request is always a form
	d.note(Understood, "The command asks for a token by client credentials: the authentication type is OAuth 2.0.")
	d.note(Check, "The base URI is that of the token endpoint. If the API has another, enter that, and the token URI as a whole.")
}
