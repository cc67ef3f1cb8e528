package road

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// UserAgent is sent where neither the connection nor a caller names one.
const UserAgent = "Sallyport"

// Fields are the header fields that the user configured, placeholders filled
// in, for a request to u. A request that leaves the base URI's own origin gets
// none: they may hold keys that are nobody else's business.
//
// Where they hold marks, proto.HeaderFill is among them and names these.
func Fields(c *connection.Connection, u *url.URL, marks *connection.Marks) (http.Header, error) {
	if len(c.Headers) == 0 {
		return nil, nil
	}
	base, err := connection.ParseBase(c.BaseURI)
	if err != nil {
		return nil, invalid("The base URI "+err.Error()+".", err)
	}
	if !connection.SameOrigin(base, u) {
		return nil, nil
	}
	h := make(http.Header, len(c.Headers))
	for _, f := range c.Headers {
		value, err := connection.FillHeader(f, c.Secrets, marks)
		if err != nil {
			return nil, unfilled("the header "+f.Name, err)
		}
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		h[name] = append(h[name], value)
		fill(h, marks, proto.FillInHeader+name, value)
	}
	return h, nil
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
