package recording

import (
	"strings"

	"sallyport/relay/connection"
)

// credentials makes NAME and PASSWORD the authentication.
func (d *Draft) credentials(scheme, name, password string) {
	d.Spec.Headers = append(d.Spec.Headers, connection.Header{Name: "Authorization", Value: "Basic " + name + ":" + password})
	d.note(Understood, "The user name and the password are sent as the Authorization header (%s).", scheme)
}

// token makes a token of the Authorization header the authentication.
func (d *Draft) token(scheme, token string) {
	value := strings.TrimSpace(scheme + " " + d.keep("token", strings.TrimSpace(token)))
	d.Spec.Headers = append(d.Spec.Headers, connection.Header{Name: "Authorization", Value: value})
	d.note(Understood, "The token is sent as the Authorization header.")
}
