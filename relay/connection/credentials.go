package connection

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/url"
	"strings"
)

// AuthHeaders are the header fields that the authentication type sends with
// each request by itself, placeholders filled in or marked.
func (c *Connection) AuthHeaders(marks *Marks) ([]Header, error) {
	var own []Header
	switch a := c.Auth; {
	case a.Type == AuthBasic && a.Basic != nil:
		value, err := a.Basic.header(c.Secrets, marks)
		if err != nil {
			return nil, err
		}
		return []Header{{Name: "Authorization", Value: value}}, nil
	case a.Type == AuthOAuth2 && c.Authorization != "":
		return []Header{{Name: "Authorization", Value: c.Authorization}}, nil
	case a.Type == AuthToken && a.Token != nil && a.Token.In != InQuery:
		own = []Header{a.Token.header()}
	case a.Type == AuthCustom && a.Custom != nil:
		own = a.Custom.Headers
	}
	filled := make([]Header, 0, len(own))
	for _, h := range own {
		value, err := FillHeader(h, c.Secrets, marks)
		if err != nil {
			return nil, err
		}
		filled = append(filled, Header{Name: h.Name, Value: value})
	}
	return filled, nil
}

// authQuery are the parameters that the type adds to each URI.
func (a Auth) authQuery() []Pair {
	switch {
	case a.Type == AuthToken && a.Token != nil && a.Token.In == InQuery:
		return []Pair{{Name: a.Token.Name, Value: a.Token.Token}}
	case a.Type == AuthCustom && a.Custom != nil:
		return a.Custom.Query
	}
	return nil
}

// AddToQuery is u with the parameters of the authentication type, which take
// the place of those of the same name. u itself is left alone.
func (c *Connection) AddToQuery(u *url.URL, marks *Marks) (*url.URL, error) {
	own := c.Auth.authQuery()
	if len(own) == 0 {
		return u, nil
	}
	with := *u
	with.RawQuery = c.Auth.WithoutCredentials(u.RawQuery)
	for _, p := range own {
		value, err := fillText(p.Value, EscapeURI, c.Secrets, marks)
		if err != nil {
			return nil, err
		}
		if with.RawQuery != "" {
			with.RawQuery += "&"
		}
		with.RawQuery += url.QueryEscape(p.Name) + "=" + value
	}
	return &with, nil
}

// WithoutCredentials is a query without the parameters that the type adds, as
// an application may have put them into an address to which it redirects.
func (a Auth) WithoutCredentials(rawQuery string) string {
	return withoutNames(rawQuery, a.authQuery())
}

// withoutNames is a query, or a form, without the parameters of these names.
func withoutNames(raw string, names []Pair) string {
	if len(names) == 0 || raw == "" {
		return raw
	}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if !hasName(names, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func hasName(pairs []Pair, name string) bool {
	for _, p := range pairs {
		if p.Name == name {
			return true
		}
	}
	return false
}

// MaxFieldsBody is the longest body to which fields are added, in bytes: it is
// read as a whole. A longer one is sent as it is.
const MaxFieldsBody = 1 << 20

// BodyFields are the fields that the type adds to bodies.
func (a Auth) BodyFields() []Pair {
	if a.Type == AuthCustom && a.Custom != nil {
		return a.Custom.Body
	}
	return nil
}

// AddToBody is a body of the given content type with the fields of the
// authentication type, which take the place of those of the same name. A body
// that is neither a JSON object nor a form is left as it is. An empty one
// becomes a body of these fields alone.
func (c *Connection) AddToBody(contentType string, body []byte, marks *Marks) ([]byte, error) {
	own := c.Auth.BodyFields()
	if len(own) == 0 || len(body) > MaxFieldsBody {
		return body, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return body, nil
	}
	switch {
	case media == "application/x-www-form-urlencoded":
		return c.addToForm(body, own, marks)
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return c.addToObject(body, own, marks)
	}
	return body, nil
}

func (c *Connection) addToForm(body []byte, own []Pair, marks *Marks) ([]byte, error) {
	form := withoutNames(string(body), own)
	for _, p := range own {
		value, err := fillText(p.Value, EscapeForm, c.Secrets, marks)
		if err != nil {
			return nil, err
		}
		if form != "" {
			form += "&"
		}
		form += url.QueryEscape(p.Name) + "=" + value
	}
	return []byte(form), nil
}

// fillText fills a value in and escapes it as a whole: what was typed beside
// placeholders is text here, and no syntax.
func fillText(value string, e Escape, secrets map[string]string, marks *Marks) (string, error) {
	pieces, faults := splitPlaceholders(value)
	if len(faults) > 0 {
		return "", faults[0]
	}
	var b strings.Builder
	for _, p := range pieces {
		written, err := "", error(nil)
		if p.secret == "" {
			written, err = e.Apply(p.text)
		} else {
			written, err = Fill(p.shown(), e, secrets, marks)
		}
		if err != nil {
			return "", err
		}
		b.WriteString(written)
	}
	return b.String(), nil
}

// addToObject keeps the members of an object in their order, and each value to
// the byte.
func (c *Connection) addToObject(body []byte, own []Pair, marks *Marks) ([]byte, error) {
	members, ok := objectMembers(body)
	if !ok {
		return body, nil
	}
	var b bytes.Buffer
	b.WriteByte('{')
	write := func(name string, value []byte) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		quoted, _ := json.Marshal(name) // a string can always be written
		b.Write(quoted)
		b.WriteByte(':')
		b.Write(value)
	}
	for _, m := range members {
		if !hasName(own, m.name) {
			write(m.name, m.value)
		}
	}
	for _, p := range own {
		value, err := fillText(p.Value, EscapeJSON, c.Secrets, marks)
		if err != nil {
			return nil, err
		}
		write(p.Name, []byte(`"`+value+`"`))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type member struct {
	name  string
	value json.RawMessage
}

// objectMembers reads a JSON object; ok is false where the body is anything
// else, an empty body apart.
func objectMembers(body []byte) (members []member, ok bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		var m member
		m.name, _ = key.(string)
		if d.Decode(&m.value) != nil {
			return nil, false
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return members, true
}
