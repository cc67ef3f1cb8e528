package connection

import (
	"strings"
)

// Where a token is sent.
const (
	InHeader = "header"
	InQuery  = "query"
)

// TokenAuth is a fixed token, sent with each request: RFC 6750's bearer token,
// or the key of an API that has a header or a parameter of its own.
type TokenAuth struct {
	In   string `json:"in,omitempty" enum:"header,query" doc:"Where the token is sent: header (default) or query."`
	Name string `json:"name,omitempty" doc:"The header's or parameter's name. Default: Authorization, or access_token in the query."`
	// Scheme is nil where it was left out: then it depends on the name.
	Scheme *string `json:"scheme,omitempty" doc:"The word before the token, header only. Default: Bearer in Authorization, none elsewhere. May be empty."`
	Token  string  `json:"token" doc:"The token: {{secret.NAME}} or {{agent.secret.NAME}}."`
}

func (t *TokenAuth) defaults() *TokenAuth {
	if t == nil {
		return nil
	}
	d := *t
	d.In, d.Name = strings.TrimSpace(d.In), strings.TrimSpace(d.Name)
	if d.In == "" {
		d.In = InHeader
	}
	if d.In != InHeader {
		d.Scheme = nil
		if d.Name == "" {
			d.Name = "access_token" // RFC 6750, section 2.3
		}
		return &d
	}
	if d.Name == "" {
		d.Name = "Authorization"
	}
	scheme := ""
	switch {
	case d.Scheme != nil:
		scheme = strings.TrimSpace(*d.Scheme)
	case strings.EqualFold(d.Name, "Authorization"):
		scheme = "Bearer"
	}
	d.Scheme = &scheme
	return &d
}

func (t *TokenAuth) check(f *faults) {
	switch t.In {
	case InHeader:
		checkHeaderName(f, "auth.token.name", t.Name)
		if t.Scheme != nil && *t.Scheme != "" && !isToken(*t.Scheme) {
			f.add("auth.token.scheme", "“%s” is not a scheme (RFC 9110, section 11.1): use one word, such as Bearer, or leave it empty.", printable(shorten(*t.Scheme, 60)))
		}
	case InQuery:
		checkPairName(f, "auth.token.name", t.Name)
	default:
		f.add("auth.token.in", "“%s” is not a place for a token: choose header or query.", printable(shorten(t.In, 40)))
	}
	checkCredential(f, "auth.token.token", "token", t.Token)
}

func (t *TokenAuth) templates() []template {
	e := EscapeHeader
	if t.In == InQuery {
		e = EscapeURI
	}
	return []template{{"auth.token.token", t.Token, e}}
}

// header is the field that carries the token, placeholders not filled in.
func (t *TokenAuth) header() Header {
	value := t.Token
	if t.Scheme != nil && *t.Scheme != "" {
		value = *t.Scheme + " " + t.Token
	}
	return Header{Name: t.Name, Value: value}
}
