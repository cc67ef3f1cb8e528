package connection

import (
	"fmt"
	"net/url"
	"strings"
)

// Grants of OAuth 2.0: how a token is had.
const (
	ClientCredentials = "client_credentials" // by the client's own credentials
	AuthorizationCode = "authorization_code" // a person signs in by a browser, once
)

// Where the client's credentials are sent to the token endpoint.
const (
	ClientByBasic = "basic" // RFC 6749, section 2.3.1: what every server has to support
	ClientInBody  = "body"
)

// OAuth2Auth is a sign-in by OAuth 2.0 (RFC 6749) that ends in an access token,
// which goes with each request as a bearer token (RFC 6750).
type OAuth2Auth struct {
	Grant                string   `json:"grant" enum:"client_credentials,authorization_code" doc:"client_credentials: the relay signs in by itself. authorization_code: a person signs in with the application once, by a browser; the relay refreshes the token."`
	AuthorizationURI     string   `json:"authorizationUri,omitempty" doc:"Where a person signs in; authorization_code only. A whole URI, or relative to the base URI."`
	TokenURI             string   `json:"tokenUri" doc:"The token endpoint. A whole URI, or relative to the base URI."`
	RevocationURI        string   `json:"revocationUri,omitempty" doc:"Where the application is told that a token is not needed any more (RFC 7009), such as when the connection is signed out or deleted. A whole URI, or relative to the base URI. Left out: tokens expire by themselves."`
	ClientID             string   `json:"clientId" doc:"By which the application knows the relay. May hold placeholders."`
	ClientSecret         string   `json:"clientSecret,omitempty" doc:"{{secret.NAME}}. Left out: a public client, which proves itself by PKCE alone."`
	Scopes               []string `json:"scopes,omitempty" doc:"What the token is asked to be good for."`
	ClientAuthentication string   `json:"clientAuthentication,omitempty" enum:"basic,body" doc:"How client id and secret are sent: basic (default), or body."`
	Parameters           []Pair   `json:"parameters,omitempty" doc:"Further parameters of the authorization and token requests, such as audience."`
}

func (o *OAuth2Auth) defaults() *OAuth2Auth {
	if o == nil {
		return nil
	}
	d := *o
	d.Grant = strings.TrimSpace(d.Grant)
	d.AuthorizationURI, d.TokenURI = strings.TrimSpace(d.AuthorizationURI), strings.TrimSpace(d.TokenURI)
	d.RevocationURI = strings.TrimSpace(d.RevocationURI)
	d.ClientID = strings.TrimSpace(d.ClientID)
	if d.ClientAuthentication == "" {
		d.ClientAuthentication = ClientByBasic
	}
	if d.Grant == ClientCredentials {
		d.AuthorizationURI = ""
	}
	d.Scopes = nil
	for _, s := range o.Scopes {
		d.Scopes = append(d.Scopes, strings.Fields(s)...)
	}
	d.Parameters = trimmedPairs(o.Parameters)
	return &d
}

func (o *OAuth2Auth) check(f *faults, base string) {
	switch o.Grant {
	case ClientCredentials:
		if o.ClientSecret == "" {
			f.add("auth.oauth2.clientSecret", "Enter the client secret, as {{secret.NAME}}: with client credentials it is the only proof.")
		}
	case AuthorizationCode:
		if o.AuthorizationURI == "" {
			f.add("auth.oauth2.authorizationUri", "Enter the URI at which a person signs in, such as https://login.example.com/authorize.")
		} else {
			checkRef(f, "auth.oauth2.authorizationUri", "The authorization URI", base, o.AuthorizationURI)
		}
	case "":
		f.add("auth.oauth2.grant", "Choose a grant: client_credentials or authorization_code.")
	default:
		f.add("auth.oauth2.grant", "“%s” is not a grant: choose client_credentials or authorization_code.", printable(shorten(o.Grant, 40)))
	}
	if o.TokenURI == "" {
		f.add("auth.oauth2.tokenUri", "Enter the URI of the token endpoint, such as https://login.example.com/token.")
	} else {
		checkRef(f, "auth.oauth2.tokenUri", "The token URI", base, o.TokenURI)
	}
	if o.RevocationURI != "" {
		checkRef(f, "auth.oauth2.revocationUri", "The revocation URI", base, o.RevocationURI)
	}
	if o.ClientID == "" {
		f.add("auth.oauth2.clientId", "Enter the client id that the application gave you.")
	} else {
		checkHeaderValue(f, "auth.oauth2.clientId", o.ClientID)
	}
	if o.ClientSecret != "" {
		checkHeaderValue(f, "auth.oauth2.clientSecret", o.ClientSecret)
	}
	if o.ClientAuthentication != ClientByBasic && o.ClientAuthentication != ClientInBody {
		f.add("auth.oauth2.clientAuthentication", "“%s” is not a way to send the client's credentials: choose basic or body.", printable(shorten(o.ClientAuthentication, 40)))
	}
	for i, s := range o.Scopes {
		if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
			f.add(fmt.Sprintf("auth.oauth2.scopes[%d]", i), "“%s” can't be a scope (RFC 6749, section 3.3): use letters, digits and signs without quotes, separated by blanks.", printable(shorten(s, 60)))
		}
	}
	o.checkAgentSecrets(f)
	checkPairs(f, "auth.oauth2.parameters", o.Parameters)
	for i, p := range o.Parameters {
		if ownParameter(p.Name) {
			f.add(fmt.Sprintf("auth.oauth2.parameters[%d].name", i), "%s is sent by itself; remove this line.", p.Name)
		}
	}
}

// checkAgentSecrets tells where a secret of the agent can't stand: an
// Authorization header has the client's credentials escaped twice over, and a
// browser's address is not the agent's to fill in.
func (o *OAuth2Auth) checkAgentSecrets(f *faults) {
	for _, t := range o.templates() {
		pieces, _ := splitPlaceholders(t.text)
		for _, p := range pieces {
			switch {
			case !p.agents:
			case t.path == "auth.oauth2.authorizationUri", strings.HasPrefix(t.path, "auth.oauth2.parameters") && o.Grant == AuthorizationCode, t.path == "auth.oauth2.clientId" && o.Grant == AuthorizationCode:
				f.add(t.path, "%s can't stand here: a browser opens this address, and the agent does not see it. Write {{secret.%s}}, or the value itself.", p.shown(), p.secret)
			case strings.HasPrefix(t.path, "auth.oauth2.client") && o.ClientAuthentication == ClientByBasic:
				f.add(t.path, "%s can't be used with the client authentication basic: choose body, where the agent can fill it in.", p.shown())
			}
		}
	}
}

// ownParameter reports whether a parameter is the protocol's own.
func ownParameter(name string) bool {
	switch name {
	case "grant_type", "client_id", "client_secret", "code", "code_verifier", "code_challenge", "code_challenge_method",
		"redirect_uri", "refresh_token", "response_type", "scope", "state":
		return true
	}
	return false
}

func (o *OAuth2Auth) templates() []template {
	t := []template{{"auth.oauth2.tokenUri", o.TokenURI, EscapeURI}, {"auth.oauth2.clientId", o.ClientID, EscapeForm}, {"auth.oauth2.clientSecret", o.ClientSecret, EscapeForm}}
	if o.AuthorizationURI != "" {
		t = append(t, template{"auth.oauth2.authorizationUri", o.AuthorizationURI, EscapeURI})
	}
	if o.RevocationURI != "" {
		t = append(t, template{"auth.oauth2.revocationUri", o.RevocationURI, EscapeURI})
	}
	for i, p := range o.Parameters {
		t = append(t, template{fmt.Sprintf("auth.oauth2.parameters[%d].value", i), p.Value, EscapeForm})
	}
	return t
}

// OAuth2Client is what OAuth2Auth describes, placeholders filled in. Marks stand
// where the agent's secrets are to stand in a form.
type OAuth2Client struct {
	ID, Secret string
	InBody     bool // the credentials go into the body, not into a header
	TokenURL   *url.URL
	Scopes     []string
	Parameters url.Values
}

// OAuth2Client fills in what the token endpoint is asked with.
func (c *Connection) OAuth2Client(marks *Marks) (o OAuth2Client, err error) {
	how := c.Auth.OAuth2
	if o.TokenURL, err = c.URL(how.TokenURI, marks); err != nil {
		return o, fmt.Errorf("the token URI: %w", err)
	}
	if o.ID, err = fillUnescaped(how.ClientID, c.Secrets, marks); err != nil {
		return o, err
	}
	if o.Secret, err = fillUnescaped(how.ClientSecret, c.Secrets, marks); err != nil {
		return o, err
	}
	o.InBody = how.ClientAuthentication == ClientInBody || o.Secret == ""
	o.Scopes, o.Parameters = how.Scopes, url.Values{}
	for _, p := range how.Parameters {
		value, err := fillUnescaped(p.Value, c.Secrets, marks)
		if err != nil {
			return o, err
		}
		o.Parameters.Add(p.Name, value)
	}
	return o, nil
}

// fillUnescaped fills text in for whoever escapes it for a form himself: the
// agent is told to do so as well.
func fillUnescaped(text string, secrets map[string]string, marks *Marks) (string, error) {
	pieces, faults := splitPlaceholders(text)
	if len(faults) > 0 {
		return "", faults[0]
	}
	var b strings.Builder
	for _, p := range pieces {
		if p.secret == "" {
			b.WriteString(p.text)
			continue
		}
		e := EscapeNone
		if p.agents {
			e = EscapeForm
		}
		written, err := Fill(p.shown(), e, secrets, marks)
		if err != nil {
			return "", err
		}
		b.WriteString(written)
	}
	return b.String(), nil
}

// NeedsPerson reports whether a person has to sign in with the application
// before the connection can be used.
func (a Auth) NeedsPerson() bool {
	return a.Type == AuthOAuth2 && a.OAuth2 != nil && a.OAuth2.Grant == AuthorizationCode
}
