package recording

import (
	"strings"

	"sallyport/relay/connection"
)

// credentials makes a user name and a password the authentication.
func (d *Draft) credentials(scheme, name, password string) {
	if scheme == "digest" {
		d.Spec.Auth = connection.Auth{Type: connection.AuthDigest, Digest: &connection.DigestAuth{Username: name, Password: password}}
	} else {
		d.Spec.Auth = connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: name, Password: password}}
	}
	d.note(Understood, "The user name and the password go with each request: the authentication type is %s.", d.Spec.Auth.Type)
}

// token makes a token of the Authorization header the authentication.
func (d *Draft) token(scheme, token string) {
	d.Spec.Auth = connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{
		In: connection.InHeader, Name: "Authorization", Scheme: &scheme, Token: d.keep("token", strings.TrimSpace(token))}}
	d.note(Understood, "The token of the Authorization header goes with each request: the authentication type is token.")
	if strings.Count(token, ".") == 2 && strings.HasPrefix(token, "ey") {
		d.note(Check, "The token looks like a JSON web token, which ends after a while. If the application has a way to sign in, fill from that.")
	}
}

// besideSignIn keeps credentials that go along with a sign-in as a configured
// header: the authentication is the sign-in.
func (d *Draft) besideSignIn() {
	value := ""
	switch a := d.Spec.Auth; a.Type {
	case connection.AuthBasic:
		value = "Basic " + a.Basic.Username + ":" + a.Basic.Password
	case connection.AuthToken:
		value = strings.TrimSpace(*a.Token.Scheme + " " + a.Token.Token)
	default:
		return
	}
	d.Spec.Headers = append(d.Spec.Headers, connection.Header{Name: "Authorization", Value: value})
	d.note(Understood, "The login carries an Authorization header as well: it is configured as a header.")
}
