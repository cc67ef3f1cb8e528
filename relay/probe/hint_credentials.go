package probe

import (
	"fmt"
	"strings"

	"sallyport/relay/connection"
)

// refusedCredentials: a 401 to credentials that go with each request.
func (e evidence) refusedCredentials() *advice {
	h := &advice{ID: "ping-401"}
	asked := e.schemes()
	switch e.c.Auth.Type {
	case connection.AuthNone:
		h.Text = "The application wants to know who asks, and the authentication type is none. Choose the type that its API guide names." + e.challenge()
	case connection.AuthBasic, connection.AuthDigest:
		h.Text = "The application did not accept the user name and the password: check both, letter by letter."
	case connection.AuthToken:
		h.Text = "The application did not accept the token: it may have expired or been revoked, or belong in another place: check its header or parameter, and its scheme, in the API guide."
	default:
		h.Text = "The application did not accept the credentials: check each name and value of the custom authentication against its API guide."
	}
	if t, scheme := otherType(e.c.Auth.Type, asked); t != "" {
		h.ID = "ping-401-scheme"
		h.Text = fmt.Sprintf("The application asks for the scheme %s, and the authentication type is %s. Choose %s.", scheme, e.c.Auth.Type, t)
		h.Fix = &Fix{Label: "Use " + string(t), Field: "auth.type", Value: string(t)}
	}
	return h
}

// schemes are those that the application offers, in lower case.
func (e evidence) schemes() []string {
	var asked []string
	for _, line := range e.header().Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		asked = append(asked, strings.ToLower(scheme))
	}
	return asked
}

// otherType is the type that the application asks for, where it asks for one
// and it is not the connection's.
func otherType(have connection.AuthType, asked []string) (connection.AuthType, string) {
	var want connection.AuthType
	var scheme string
	for _, s := range asked {
		switch {
		case s == "basic" && have == connection.AuthBasic, s == "digest" && have == connection.AuthDigest:
			return "", ""
		case s == "bearer" && have != connection.AuthNone:
			return "", "" // what a token is made of, the scheme does not tell
		case s == "basic":
			want, scheme = connection.AuthBasic, "Basic"
		case s == "digest" && want == "":
			want, scheme = connection.AuthDigest, "Digest"
		}
	}
	return want, scheme
}
