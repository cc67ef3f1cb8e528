package connection

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/escape"
)

// with is a valid spec of another authentication type.
func with(a Auth) Spec {
	s := valid()
	s.Auth = a
	return Defaults(s)
}

func TestAuthHeaders(t *testing.T) {
	secrets := map[string]string{"password": "pä:ss", "key": "k+1"}
	scheme := func(s string) *string { return &s }
	tests := []struct {
		name string
		auth Auth
		want []Header
	}{
		{"none", Auth{Type: AuthNone}, nil},
		{"basic, in UTF-8, with a colon in the password", Auth{Type: AuthBasic, Basic: &BasicAuth{Username: "svc", Password: "{{secret.password}}"}},
			[]Header{{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("svc:pä:ss"))}}},
		{"token by default", Auth{Type: AuthToken, Token: &TokenAuth{Token: "{{secret.key}}"}}, []Header{{"Authorization", "Bearer k+1"}}},
		{"token with a scheme", Auth{Type: AuthToken, Token: &TokenAuth{Token: "{{secret.key}}", Scheme: scheme("Token")}}, []Header{{"Authorization", "Token k+1"}}},
		{"token without a scheme", Auth{Type: AuthToken, Token: &TokenAuth{Token: "{{secret.key}}", Scheme: scheme("")}}, []Header{{"Authorization", "k+1"}}},
		{"token in its own header", Auth{Type: AuthToken, Token: &TokenAuth{Name: "X-Api-Key", Token: "{{secret.key}}"}}, []Header{{"X-Api-Key", "k+1"}}},
		{"token in the query", Auth{Type: AuthToken, Token: &TokenAuth{In: InQuery, Token: "{{secret.key}}"}}, nil},
		{"custom", Auth{Type: AuthCustom, Custom: &CustomAuth{Headers: []Header{{"X-App", "erp"}, {"X-Key", "{{secret.key}}"}}}}, []Header{{"X-App", "erp"}, {"X-Key", "k+1"}}},
		{"digest", Auth{Type: AuthDigest, Digest: &DigestAuth{Username: "svc", Password: "{{secret.password}}"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Connection{Spec: with(test.auth), Secrets: secrets}
			if invalid := Validate(c.Spec, []string{"password", "key", "company"}); invalid != nil {
				t.Fatal(invalid)
			}
			got, err := c.AuthHeaders(&Marks{})
			if err != nil || len(got)+len(test.want) > 0 && !cmp.Equal(got, test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestBasicCredentialsWithASecretOfTheAgentAreEncodedThere(t *testing.T) {
	c := &Connection{Spec: with(Auth{Type: AuthBasic, Basic: &BasicAuth{Username: "svc", Password: "{{agent.secret.erp}}"}})}
	marks := &Marks{}
	got, err := c.AuthHeaders(marks)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	in := marks.In(got[0].Value)
	if len(in) != 1 || in[0].Escape != escape.Basic || marks.Shown(got[0].Value) != "Basic svc:{{agent.secret.erp}}" {
		t.Errorf("got %q with marks %v", got[0].Value, in)
	}
	if names := AgentSecrets(c.Spec); !cmp.Equal(names, []string{"erp"}) {
		t.Errorf("the connection uses %v", names)
	}
}

func TestCredentialsInTheQuery(t *testing.T) {
	custom := Auth{Type: AuthCustom, Custom: &CustomAuth{Query: []Pair{{"api key", "100% {{secret.key}}"}, {"v", "1&2"}}}}
	c := &Connection{Spec: with(custom), Secrets: map[string]string{"key": "k+1"}}
	for from, want := range map[string]string{
		"":                            "api+key=100%25%20k%2B1&v=1%262",
		"a=1":                         "a=1&api+key=100%25%20k%2B1&v=1%262",
		"v=forged&a=1&api%20key=old":  "a=1&api+key=100%25%20k%2B1&v=1%262",
		"vv=1&a=%2F":                  "vv=1&a=%2F&api+key=100%25%20k%2B1&v=1%262",
		"api+key=100%25%20k%2B1&b=%7": "b=%7&api+key=100%25%20k%2B1&v=1%262",
	} {
		u := &url.URL{Scheme: "https", Host: "erp.test", Path: "/x", RawQuery: from}
		got, err := c.AddToQuery(u, &Marks{})
		if err != nil || got.RawQuery != want || u.RawQuery != from {
			t.Errorf("%q became %q, %v, want %q", from, got.RawQuery, err, want)
		}
	}
}

func TestFieldsAreAddedToObjectsAndForms(t *testing.T) {
	c := &Connection{Spec: with(Auth{Type: AuthCustom, Custom: &CustomAuth{Body: []Pair{{"key", "{{secret.key}}"}, {"app", `a"b&c`}}}}), Secrets: map[string]string{"key": `k"1&`}}
	const json, form = "application/json", "application/x-www-form-urlencoded; charset=utf-8"
	const inJSON, inForm = `"key":"k\"1&","app":"a\"b&c"`, `key=k%221%26&app=a%22b%26c`
	for _, test := range []struct{ name, contentType, body, want string }{
		{"object", json, `{"n": 12.50, "o": {"key": 1}}`, `{"n":12.50,"o":{"key": 1},` + inJSON + `}`},
		{"empty object", json, ` {} `, `{` + inJSON + `}`},
		{"nothing", json, "", `{` + inJSON + `}`},
		{"the caller's own are replaced", json, `{"key":"forged","a":1,"key":2}`, `{"a":1,` + inJSON + `}`},
		{"array", json, `[1]`, `[1]`},
		{"text", json, `"key"`, `"key"`},
		{"not JSON", json, `{"a":`, `{"a":`},
		{"two objects", json, `{}{}`, `{}{}`},
		{"a kind of JSON", "application/hal+json", `{}`, `{` + inJSON + `}`},
		{"form", form, "a=1&b=%20", "a=1&b=%20&" + inForm},
		{"the caller's own in a form", form, "key=x&a=1", "a=1&" + inForm},
		{"no form", form, "", inForm},
		{"plain text", "text/plain", "key", "key"},
		{"no type", "", `{}`, `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := c.AddToBody(test.contentType, []byte(test.body), &Marks{})
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
	long := `{"a":"` + strings.Repeat("x", MaxFieldsBody) + `"}`
	if got, err := c.AddToBody(json, []byte(long), nil); err != nil || string(got) != long {
		t.Error("a long body was changed")
	}
}

func TestAuthenticationMistakesAreToldAtTheirFields(t *testing.T) {
	basic := func(name, password string) Auth {
		return Auth{Type: AuthBasic, Basic: &BasicAuth{Username: name, Password: password}}
	}
	scheme := "Bearer token"
	for _, test := range []struct {
		name, path, says string
		auth             Auth
	}{
		{"basic without its fields", "auth.basic", "user name and password", Auth{Type: AuthBasic}},
		{"no user name", "auth.basic.username", "Enter the user name", basic("", "{{secret.company}}")},
		{"colon in a user name", "auth.basic.username", "colon", basic("a:b", "{{secret.company}}")},
		{"no password", "auth.basic.password", "Enter the password", basic("svc", "")},
		{"line break in a password", "auth.basic.password", "one line", basic("svc", "a\nb")},
		{"password that is not set", "auth.basic.password", "not set", basic("svc", "{{secret.nobody}}")},
		{"token without its fields", "auth.token", "the token is required", Auth{Type: AuthToken}},
		{"no token", "auth.token.token", "Enter the token", Auth{Type: AuthToken, Token: &TokenAuth{}}},
		{"token in the body", "auth.token.in", "header or query", Auth{Type: AuthToken, Token: &TokenAuth{In: "body", Token: "x"}}},
		{"token in a header of ours", "auth.token.name", "Host is set", Auth{Type: AuthToken, Token: &TokenAuth{Name: "Host", Token: "x"}}},
		{"scheme of two words", "auth.token.scheme", "one word", Auth{Type: AuthToken, Token: &TokenAuth{Scheme: &scheme, Token: "x"}}},
		{"custom without anything", "auth.custom.headers", "Choose None", Auth{Type: AuthCustom, Custom: &CustomAuth{}}},
		{"custom header that is none", "auth.custom.headers[1].name", "not a header name", Auth{Type: AuthCustom, Custom: &CustomAuth{Headers: []Header{{"X-A", "1"}, {"X B", "2"}}}}},
		{"parameter without a name", "auth.custom.query[0].name", "Enter the name", Auth{Type: AuthCustom, Custom: &CustomAuth{Query: []Pair{{"", "1"}}}}},
		{"field that stands there twice", "auth.custom.body[1].name", "twice", Auth{Type: AuthCustom, Custom: &CustomAuth{Body: []Pair{{"a", "1"}, {"a", "2"}}}}},
		{"digest by a secret of the agent", "auth.digest.password", "Write {{secret.erp}}", Auth{Type: AuthDigest, Digest: &DigestAuth{Username: "svc", Password: "{{agent.secret.erp}}"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := with(test.auth)
			s.Mode, s.AgentID = OnPremise, "agt_1"
			err := Validate(s, []string{"company", "password"})
			if err == nil || len(err.Fields) != 1 || err.Fields[0].Path != test.path || !strings.Contains(err.Fields[0].Message, test.says) {
				t.Errorf("got %v, want %s: …%s…", err, test.path, test.says)
			}
		})
	}
}

func TestSecretsThatCannotStandInCredentialsAreRefused(t *testing.T) {
	s := with(Auth{Type: AuthBasic, Basic: &BasicAuth{Username: "{{secret.user}}", Password: "{{secret.password}}"}})
	for _, test := range []struct{ user, password, path string }{
		{"svc", "ok", ""}, {"s:vc", "ok", "secrets.user"}, {"svc", "a\tb", "secrets.password"}, {"svc", "a:b", ""},
	} {
		err := ValidateSecrets(s, map[string]string{"user": test.user, "password": test.password})
		switch {
		case test.path == "" && err != nil:
			t.Errorf("%+v: %v", test, err)
		case test.path != "" && (err == nil || len(err.Fields) != 1 || err.Fields[0].Path != test.path):
			t.Errorf("%+v: got %v", test, err)
		}
	}
}

func TestOnlyTheTypesOwnPartIsKept(t *testing.T) {
	s := with(Auth{Type: AuthBasic, Basic: &BasicAuth{Username: "svc", Password: "{{secret.password}}"}, Cookie: &CookieAuth{URI: "/in"}, Token: &TokenAuth{Token: "t"}})
	if s.Auth.Cookie != nil || s.Auth.Token != nil || s.Auth.Basic == nil {
		t.Errorf("kept %+v", s.Auth)
	}
}

func TestTypedCredentialsAreWarnedOf(t *testing.T) {
	typed := with(Auth{Type: AuthBasic, Basic: &BasicAuth{Username: "svc", Password: "correct horse"}})
	typed.Headers = append(typed.Headers, Header{"authorization", "x"})
	w := strings.Join(Warnings(typed), "\n")
	if !strings.Contains(w, "Make a secret of it") || !strings.Contains(w, "takes the place of the one") {
		t.Errorf("warned of %s", w)
	}
	if got := typed.Auth.TypedCredentials(); !cmp.Equal(got, []string{"correct horse"}) {
		t.Errorf("typed: %v", got)
	}
}

func TestOAuth2MistakesAreToldAtTheirFields(t *testing.T) {
	good := func() *OAuth2Auth {
		return &OAuth2Auth{Grant: AuthorizationCode, AuthorizationURI: "/authorize", TokenURI: "https://login.test/token", ClientID: "id", ClientSecret: "{{secret.client}}", Scopes: []string{"a"}}
	}
	for _, test := range []struct {
		name, path, says string
		change           func(*OAuth2Auth)
	}{
		{"all well", "", "", func(*OAuth2Auth) {}},
		{"a public client", "", "", func(o *OAuth2Auth) { o.ClientSecret = "" }},
		{"scopes in one string", "", "", func(o *OAuth2Auth) { o.Scopes = []string{"a b  c"} }},
		{"a secret of the agent in the body", "", "", func(o *OAuth2Auth) {
			o.ClientAuthentication, o.ClientSecret = ClientInBody, "{{agent.secret.client}}"
		}},
		{"no grant", "auth.oauth2.grant", "Choose a grant", func(o *OAuth2Auth) { o.Grant = "" }},
		{"password grant", "auth.oauth2.grant", "“password” is not", func(o *OAuth2Auth) { o.Grant = "password" }},
		{"no authorization URI", "auth.oauth2.authorizationUri", "at which a person signs in", func(o *OAuth2Auth) { o.AuthorizationURI = "" }},
		{"no token URI", "auth.oauth2.tokenUri", "token endpoint", func(o *OAuth2Auth) { o.TokenURI = "" }},
		{"token URI with a fragment", "auth.oauth2.tokenUri", "fragment", func(o *OAuth2Auth) { o.TokenURI = "https://login.test/token#x" }},
		{"revocation URI", "", "", func(o *OAuth2Auth) { o.RevocationURI = " /revoke " }},
		{"revocation URI with a fragment", "auth.oauth2.revocationUri", "fragment", func(o *OAuth2Auth) { o.RevocationURI = "https://login.test/revoke#x" }},
		{"revocation URI with a secret that is not set", "auth.oauth2.revocationUri", "not set", func(o *OAuth2Auth) { o.RevocationURI = "/revoke?key={{secret.nobody}}" }},
		{"no client", "auth.oauth2.clientId", "client id", func(o *OAuth2Auth) { o.ClientID = "" }},
		{"service without a secret", "auth.oauth2.clientSecret", "only proof", func(o *OAuth2Auth) { o.Grant, o.ClientSecret = ClientCredentials, "" }},
		{"another way to send it", "auth.oauth2.clientAuthentication", "basic or body", func(o *OAuth2Auth) { o.ClientAuthentication = "jwt" }},
		{"scope with a quote", "auth.oauth2.scopes[0]", "can't be a scope", func(o *OAuth2Auth) { o.Scopes = []string{`a"b`} }},
		{"parameter of the protocol", "auth.oauth2.parameters[0].name", "sent by itself", func(o *OAuth2Auth) { o.Parameters = []Pair{{"state", "x"}} }},
		{"a secret of the agent in a header", "auth.oauth2.clientSecret", "choose body", func(o *OAuth2Auth) { o.ClientSecret = "{{agent.secret.client}}" }},
		{"a secret of the agent in a browser", "auth.oauth2.parameters[0].value", "a browser opens", func(o *OAuth2Auth) { o.Parameters = []Pair{{"audience", "{{agent.secret.a}}"}} }},
		{"a secret that is not set", "auth.oauth2.clientSecret", "not set", func(o *OAuth2Auth) { o.ClientSecret = "{{secret.nobody}}" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			how := good()
			test.change(how)
			s := with(Auth{Type: AuthOAuth2, OAuth2: how})
			s.Mode, s.AgentID = OnPremise, "agt_1"
			err := Validate(s, []string{"company", "client"})
			switch {
			case test.path == "" && err != nil:
				t.Error(err)
			case test.path != "" && (err == nil || len(err.Fields) != 1 || err.Fields[0].Path != test.path || !strings.Contains(err.Fields[0].Message, test.says)):
				t.Errorf("got %v, want %s: …%s…", err, test.path, test.says)
			}
		})
	}
}

func TestAnAgentsSecretIsMarkedForTheFormOfATokenRequest(t *testing.T) {
	c := &Connection{Spec: with(Auth{Type: AuthOAuth2, OAuth2: &OAuth2Auth{Grant: ClientCredentials, TokenURI: "/token", ClientID: "a b", ClientSecret: "{{agent.secret.client}}", ClientAuthentication: ClientInBody}})}
	marks := &Marks{}
	o, err := c.OAuth2Client(marks)
	if err != nil || o.ID != "a b" || !o.InBody || o.TokenURL.Path != "/api/token" {
		t.Fatalf("%+v, %v", o, err)
	}
	if in := marks.In(o.Secret); len(in) != 1 || in[0].Escape != EscapeForm || in[0].Text != o.Secret {
		t.Errorf("%q with marks %v", o.Secret, in)
	}
}
