package connection

import (
	"fmt"
	"slices"
	"strings"
)

// AuthType is how an application learns who sends a request.
type AuthType string

const (
	AuthNone   AuthType = "none"
	AuthBasic  AuthType = "basic"
	AuthToken  AuthType = "token"
	AuthCustom AuthType = "custom"
	AuthCookie AuthType = "cookie"
	AuthOAuth2 AuthType = "oauth2"
	AuthDigest AuthType = "digest"
)

// AuthTypes lists the types in the order in which a form offers them.
func AuthTypes() []AuthType {
	return []AuthType{AuthCookie, AuthNone, AuthBasic, AuthToken, AuthCustom, AuthOAuth2, AuthDigest}
}

// SignsIn reports whether connections of this type have sessions: they sign in
// before the first request, and again when the application no longer accepts
// what came of it.
func (t AuthType) SignsIn() bool { return t == AuthCookie || t == AuthOAuth2 }

// Repeats reports whether a request of this type may have to be sent again
// after a 401, by which the application says that it did not act on the first.
func (t AuthType) Repeats() bool { return t.SignsIn() || t == AuthDigest }

// Auth says how the application learns who sends a request.
type Auth struct {
	Type    AuthType     `json:"type" doc:"cookie, none, basic, token, custom, oauth2 or digest."`
	Cookie  *CookieAuth  `json:"cookie,omitempty" doc:"Required where type is cookie."`
	Basic   *BasicAuth   `json:"basic,omitempty" doc:"Required where type is basic."`
	Token   *TokenAuth   `json:"token,omitempty" doc:"Required where type is token."`
	Custom  *CustomAuth  `json:"custom,omitempty" doc:"Required where type is custom."`
	OAuth2  *OAuth2Auth  `json:"oauth2,omitempty" doc:"Required where type is oauth2."`
	Digest  *DigestAuth  `json:"digest,omitempty" doc:"Required where type is digest."`
	Session *SessionLife `json:"session,omitempty" doc:"How long a session is used, and how often the relay may sign in. Only of types that sign in."`
}

// Pair is a name and a value, such as a parameter of a query.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// defaults is a as it is stored: only what its type uses.
func (a Auth) defaults() Auth {
	kept := Auth{Type: a.Type}
	switch a.Type {
	case AuthNone:
	case AuthCookie:
		kept.Cookie = a.Cookie.defaults()
	case AuthBasic:
		kept.Basic = a.Basic
	case AuthToken:
		kept.Token = a.Token.defaults()
	case AuthCustom:
		kept.Custom = a.Custom.defaults()
	case AuthOAuth2:
		kept.OAuth2 = a.OAuth2.defaults()
	case AuthDigest:
		kept.Digest = a.Digest
	default:
		return a // told by checkAuthType
	}
	if a.Type.SignsIn() {
		kept.Session = sessionDefaults(a.Session)
	}
	return kept
}

func checkAuthType(f *faults, a Auth) {
	missing := func(path string, absent bool, what string) {
		if absent {
			f.add(path, "Describe the authentication: %s.", what)
		}
	}
	switch a.Type {
	case AuthNone:
	case AuthCookie:
		if a.Cookie == nil {
			f.add("auth.cookie", "Describe the sign-in: cookie method and cookie URI are required with cookie authentication.")
		}
	case AuthBasic:
		missing("auth.basic", a.Basic == nil, "user name and password are required with basic authentication")
	case AuthToken:
		missing("auth.token", a.Token == nil, "the token is required with token authentication")
	case AuthCustom:
		missing("auth.custom", a.Custom == nil, "headers, query parameters or body fields are required with custom authentication")
	case AuthOAuth2:
		missing("auth.oauth2", a.OAuth2 == nil, "grant, token URI and client id are required with OAuth 2.0")
	case AuthDigest:
		missing("auth.digest", a.Digest == nil, "user name and password are required with digest authentication")
	case "":
		f.add("auth.type", "Choose an authentication type: %s.", authTypeNames())
	default:
		f.add("auth.type", "“%s” is not an authentication type: choose %s.", printable(shorten(string(a.Type), 40)), authTypeNames())
	}
}

func authTypeNames() string {
	types := AuthTypes()
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// checkAuth checks the part that the type uses.
func checkAuth(f *faults, s Spec) {
	checkSession(f, s.Auth.Session)
	switch a := s.Auth; {
	case a.Type == AuthCookie && a.Cookie != nil:
		checkCookie(f, s.BaseURI, *a.Cookie)
		checkSignIn(f, s.BaseURI, *a.Cookie)
	case a.Type == AuthBasic && a.Basic != nil:
		a.Basic.check(f)
	case a.Type == AuthToken && a.Token != nil:
		a.Token.check(f)
	case a.Type == AuthCustom && a.Custom != nil:
		a.Custom.check(f)
	case a.Type == AuthOAuth2 && a.OAuth2 != nil:
		a.OAuth2.check(f, s.BaseURI)
	case a.Type == AuthDigest && a.Digest != nil:
		a.Digest.check(f)
	}
}

// templates are the fields in which placeholders may stand.
func (a Auth) templates(s Spec) []template {
	switch {
	case a.Type == AuthCookie && a.Cookie != nil:
		return a.Cookie.templates(s.MediaType)
	case a.Type == AuthBasic && a.Basic != nil:
		return a.Basic.templates()
	case a.Type == AuthToken && a.Token != nil:
		return a.Token.templates()
	case a.Type == AuthCustom && a.Custom != nil:
		return a.Custom.templates()
	case a.Type == AuthOAuth2 && a.OAuth2 != nil:
		return a.OAuth2.templates()
	case a.Type == AuthDigest && a.Digest != nil:
		return a.Digest.templates()
	}
	return nil
}

// shortestHidden is the shortest credential that TypedCredentials tells of:
// shorter values ("json", "1") prove nothing, and hiding them would make
// answers unreadable.
const shortestHidden = 6

// TypedCredentials are passwords and tokens that were typed into the
// connection itself and not as a secret, for whoever hides credentials in what
// is shown.
func (a Auth) TypedCredentials() []string {
	var typed []string
	add := func(values ...string) {
		for _, v := range values {
			if len(v) >= shortestHidden && !strings.Contains(v, placeholderOpen) {
				typed = append(typed, v)
			}
		}
	}
	if a.Basic != nil {
		add(a.Basic.Password)
	}
	if a.Token != nil {
		add(a.Token.Token)
	}
	if a.OAuth2 != nil {
		add(a.OAuth2.ClientSecret)
	}
	if a.Digest != nil {
		add(a.Digest.Password)
	}
	if a.Custom != nil {
		for _, h := range a.Custom.Headers {
			add(h.Value)
		}
		for _, p := range slices.Concat(a.Custom.Query, a.Custom.Body) {
			add(p.Value)
		}
	}
	return typed
}

// authWarnings is what is worth a second look.
func authWarnings(s Spec) []string {
	var w []string
	if len(s.Auth.TypedCredentials()) > 0 && s.Auth.Type != AuthCustom {
		w = append(w, "The password or token stands in the connection itself, where everyone reads it who may change connections. Make a secret of it, and write {{secret.NAME}} in its place.")
	}
	if o := s.Auth.OAuth2; s.Mode == Cloud && s.Auth.Type == AuthOAuth2 && o != nil {
		for _, at := range []struct{ name, uri string }{{"token", o.TokenURI}, {"revocation", o.RevocationURI}} {
			if strings.HasPrefix(strings.ToLower(at.uri), "http://") {
				w = append(w, "The "+at.name+" URI is http: the client secret and the tokens can be read on the way.")
			}
		}
	}
	for _, name := range s.Auth.headerNames() {
		for _, h := range s.Headers {
			if strings.EqualFold(h.Name, name) {
				w = append(w, fmt.Sprintf("The configured header %s takes the place of the one that the authentication type sends; remove it unless that is meant.", h.Name))
			}
		}
	}
	return w
}

// headerNames are the header fields that the type sends by itself.
func (a Auth) headerNames() []string {
	switch {
	case a.Type == AuthBasic, a.Type == AuthDigest, a.Type == AuthOAuth2:
		return []string{"Authorization"}
	case a.Type == AuthToken && a.Token != nil && a.Token.In == InHeader:
		return []string{a.Token.Name}
	case a.Type == AuthCustom && a.Custom != nil:
		var names []string
		for _, h := range a.Custom.Headers {
			names = append(names, h.Name)
		}
		return names
	}
	return nil
}
