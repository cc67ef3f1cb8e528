package road

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// UserAgent is sent where neither the connection nor a caller names one.
const UserAgent = "Sallyport"

// Fields are the header fields that the connection sends to u: those of its
// authentication type, and in their place or beside them those that the user
// configured, placeholders filled in. A request that leaves the base URI's own
// origin gets none: they may hold keys that are nobody else's business.
//
// Where they hold marks, proto.HeaderFill is among them and names these.
func Fields(c *connection.Connection, u *url.URL, marks *connection.Marks) (http.Header, error) {
	if own, err := atHome(c, u); !own {
		return nil, err
	}
	own, err := c.AuthHeaders(marks)
	if err != nil {
		return nil, unfilled("the credentials", err)
	}
	if len(c.Headers)+len(own) == 0 {
		return nil, nil
	}
	h := make(http.Header, len(c.Headers)+len(own))
	add := func(name, value string) {
		name = textproto.CanonicalMIMEHeaderKey(name)
		h[name] = append(h[name], value)
		fill(h, marks, proto.FillInHeader+name, value)
	}
	for _, f := range own {
		if !configures(c, f.Name) {
			add(f.Name, f.Value)
		}
	}
	for _, f := range c.Headers {
		if c.AwaitsSignIn(f.Value) {
			continue // the request belongs to the sign-in that brings the value
		}
		value, err := connection.FillHeader(f, c.Secrets, marks)
		if err != nil {
			return nil, unfilled("the header "+f.Name, err)
		}
		add(f.Name, value)
	}
	return h, nil
}

// configures reports whether the user configured a header of the name.
func configures(c *connection.Connection, name string) bool {
	for _, f := range c.Headers {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// atHome reports whether u is on the base URI's own origin.
func atHome(c *connection.Connection, u *url.URL) (bool, error) {
	if startsAt(c.BaseURI, u) {
		return true, nil // as nearly every request is, several times over
	}
	base, err := connection.ParseBase(c.BaseURI)
	if err != nil {
		return false, invalid("The base URI "+err.Error()+".", err)
	}
	return connection.SameOrigin(base, u), nil
}

// startsAt reports whether base begins with the very scheme, host and port of u.
// Others may be of the same origin even so: names are written in many ways.
func startsAt(base string, u *url.URL) bool {
	rest, scheme := strings.CutPrefix(base, u.Scheme)
	rest, slashes := strings.CutPrefix(rest, "://")
	rest, host := strings.CutPrefix(rest, u.Host)
	return scheme && slashes && host && u.Host != "" && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// Target is u with the parameters that the authentication type sends, where u
// is on the base URI's own origin. Name marks by FillURI.
func Target(c *connection.Connection, u *url.URL, marks *connection.Marks) (*url.URL, error) {
	if own, err := atHome(c, u); !own {
		return u, err
	}
	with, err := c.AddToQuery(u, marks)
	if err != nil {
		return nil, unfilled("the credentials", err)
	}
	return with, nil
}

// Body is a body with the fields that the authentication type adds, where u is
// on the base URI's own origin. Name marks by FillBody.
func Body(c *connection.Connection, u *url.URL, contentType string, body []byte, marks *connection.Marks) ([]byte, error) {
	if own, err := atHome(c, u); !own {
		return body, err
	}
	with, err := c.AddToBody(contentType, body, marks)
	if err != nil {
		return nil, unfilled("the credentials", err)
	}
	return with, nil
}

// invalid is the error of a connection that can't be sent as it is described.
func invalid(detail string, err error) *proto.Error {
	return &proto.Error{Code: proto.CodeValidation, Detail: detail, Outcome: proto.OutcomeNotSent, Err: err}
}

// unfilled is the error of a placeholder for which there is no value.
func unfilled(where string, err error) *proto.Error {
	detail := err.Error()
	var p *connection.PlaceholderError
	if errors.As(err, &p) {
		detail = p.Message
	}
	return invalid("A placeholder in "+where+" can't be filled in: "+detail, err)
}
