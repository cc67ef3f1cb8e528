package connection

import (
	"maps"
	"slices"
	"strings"
)

// FirstRequest is what a sign-in chain begins with: a request whose answer holds
// what the sign-in has to send along, such as a token against forged requests
// (CSRF).
type FirstRequest struct {
	Method  string        `json:"method,omitempty" doc:"GET (default), POST or HEAD."`
	URI     string        `json:"uri" doc:"Relative to the base URI. Its answer may have any status; the values in it count."`
	Headers []Header      `json:"headers,omitempty" doc:"Header fields of this request alone, such as x-csrf-token: Fetch."`
	Values  []SignInValue `json:"values,omitempty" doc:"What to take from the answer, for {{signin.NAME}} in the sign-in and in all that follows."`
}

// ValueSource is where in an answer a value stands.
type ValueSource string

// The sources of values.
const (
	FromHeader ValueSource = "header" // a header field's value
	FromCookie ValueSource = "cookie" // a cookie's value, percent-encoding undone
	FromJSON   ValueSource = "json"   // by JSONPath (RFC 9535)
	FromXPath  ValueSource = "xpath"  // by XPath, in XML and in HTML
	FromField  ValueSource = "field"  // an HTML form's field, or a meta element, by its name
)

// ValueSources lists the sources in the order in which a form offers them.
func ValueSources() []ValueSource {
	return []ValueSource{FromHeader, FromCookie, FromJSON, FromXPath, FromField}
}

// SignInValue is one value of an answer to a sign-in chain's request.
type SignInValue struct {
	Name string      `json:"name" doc:"As it is used: {{signin.NAME}}."`
	From ValueSource `json:"from" doc:"header, cookie, json, xpath or field."`
	At   string      `json:"at" doc:"The name of the header, cookie or form field; the JSONPath or XPath."`
}

// SignOut is the request that ends a session at the application.
type SignOut struct {
	Method string `json:"method,omitempty" doc:"POST (default), GET, PUT or DELETE."`
	URI    string `json:"uri" doc:"Relative to the base URI."`
	Body   string `json:"body,omitempty" doc:"The body of a POST or PUT."`
}

// SignsOut reports whether the application is told that a session is not needed any
// more: by the sign-out of a cookie, or by the revocation of a token.
func (a Auth) SignsOut() bool {
	return a.Cookie != nil && a.Cookie.SignOut != nil || a.Type == AuthOAuth2 && a.OAuth2 != nil && a.OAuth2.RevocationURI != ""
}

// signInPrefix begins the placeholder {{signin.NAME}}.
const signInPrefix = "signin."

// signInKey is under what a value of the sign-in stands among a connection's
// secrets; no secret can have such a name.
func signInKey(name string) string { return "signin:" + name }

// WithSignIn is c with the values that a sign-in has brought, for the requests
// that come after it. c is left alone, and returned itself where there are none.
// The values are held like secrets: they are filled in, escaped and masked alike.
func (c *Connection) WithSignIn(values map[string]string) *Connection {
	if len(values) == 0 {
		return c
	}
	known := *c
	known.Secrets = make(map[string]string, len(c.Secrets)+len(values))
	maps.Copy(known.Secrets, c.Secrets)
	for name, value := range values {
		known.Secrets[signInKey(name)] = value
	}
	return &known
}

// AwaitsSignIn reports whether text holds a value of the sign-in that c does
// not have yet. A configured header that does is left out of a request.
func (c *Connection) AwaitsSignIn(text string) bool {
	if !strings.Contains(text, signInPrefix) { // mostly; headers are filled for each request
		return false
	}
	pieces, _ := splitPlaceholders(text)
	return slices.ContainsFunc(pieces, func(p piece) bool {
		_, known := c.Secrets[p.key()]
		return p.signIn && !known
	})
}

// SignInValues are the values of the whole chain: those of the first request,
// then those of the sign-in itself.
func (c *CookieAuth) SignInValues() []SignInValue {
	if c == nil {
		return nil
	}
	if c.Before == nil {
		return c.Values
	}
	return append(slices.Clip(c.Before.Values), c.Values...)
}

// signInDefaults fills in what is left out of the chain and the sign-out, and
// removes blanks, in a CookieAuth that is the caller's own.
func signInDefaults(c *CookieAuth) {
	c.Headers = trimHeaders(c.Headers)
	c.Values = trimValues(c.Values)
	if c.Before != nil {
		b := *c.Before
		b.Method = methodOr(b.Method, "GET")
		b.URI = strings.TrimSpace(b.URI)
		b.Headers, b.Values = trimHeaders(b.Headers), trimValues(b.Values)
		c.Before = &b
	}
	if c.SignOut != nil {
		o := *c.SignOut
		o.Method = methodOr(o.Method, "POST")
		o.URI = strings.TrimSpace(o.URI)
		c.SignOut = &o
	}
}

func methodOr(method, otherwise string) string {
	if method = strings.ToUpper(strings.TrimSpace(method)); method == "" {
		return otherwise
	}
	return method
}

func trimValues(values []SignInValue) []SignInValue {
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = SignInValue{Name: strings.TrimSpace(v.Name), From: ValueSource(strings.ToLower(strings.TrimSpace(string(v.From)))), At: strings.TrimSpace(v.At)}
	}
	return values
}

// signInTemplates are the fields of the chain and the sign-out in which
// placeholders may stand.
func signInTemplates(c *CookieAuth, m MediaType) []template {
	var t []template
	for _, h := range indexedHeaders("auth.cookie.headers", c.Headers) {
		t = append(t, template{h.path + ".value", h.Value, EscapeHeader})
	}
	if b := c.Before; b != nil {
		t = append(t, template{beforePath + ".uri", b.URI, EscapeURI})
		for _, h := range indexedHeaders(beforePath+".headers", b.Headers) {
			t = append(t, template{h.path + ".value", h.Value, EscapeHeader})
		}
	}
	if o := c.SignOut; o != nil {
		t = append(t, template{"auth.cookie.signOut.uri", o.URI, EscapeURI})
		if o.SendsBody() {
			t = append(t, template{"auth.cookie.signOut.body", o.Body, EscapeFor(m)})
		}
	}
	return t
}

// SendsBody reports whether the sign-out's method has a body.
func (o SignOut) SendsBody() bool { return o.Method == "POST" || o.Method == "PUT" }
