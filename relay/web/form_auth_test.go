package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/relay/connection"
)

// filledAuth is the form of a connection of another authentication type.
func filledAuth(base string, kind connection.AuthType, fields ...string) url.Values {
	form := filled(base)
	form.Set("auth.type", string(kind))
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

func TestEveryAuthenticationTypeIsSavedAndShownAgain(t *testing.T) {
	none, bearer := "", "Bearer"
	for _, test := range []struct {
		form  url.Values
		want  connection.Auth
		shows []string
	}{
		{filledAuth("https://erp.example.com", "none"), connection.Auth{Type: "none"}, []string{`value="none" selected`}},
		{filledAuth("https://erp.example.com", "basic", "auth.basic.username", "svc", "auth.basic.password", "{{secret.password}}"),
			connection.Auth{Type: "basic", Basic: &connection.BasicAuth{Username: "svc", Password: "{{secret.password}}"}}, []string{`name="auth.basic.username"`, `value="svc"`}},
		{filledAuth("https://erp.example.com", "token", "auth.token.token", "{{secret.password}}", "auth.token.in", "header", "auth.token.scheme", "Bearer"),
			connection.Auth{Type: "token", Token: &connection.TokenAuth{In: "header", Name: "Authorization", Scheme: &bearer, Token: "{{secret.password}}"}}, []string{`value="Bearer"`}},
		{filledAuth("https://erp.example.com", "token", "auth.token.token", "{{secret.password}}", "auth.token.in", "header", "auth.token.name", "X-Key", "auth.token.scheme", ""),
			connection.Auth{Type: "token", Token: &connection.TokenAuth{In: "header", Name: "X-Key", Scheme: &none, Token: "{{secret.password}}"}}, []string{`value="X-Key"`}},
		{filledAuth("https://erp.example.com", "custom", "auth.custom.headers", "X-A: 1\r\n\r\nX-B: {{secret.password}}\r\n", "auth.custom.query", "a=b=c", "auth.custom.body", "k=v"),
			connection.Auth{Type: "custom", Custom: &connection.CustomAuth{Headers: []connection.Header{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "{{secret.password}}"}},
				Query: []connection.Pair{{Name: "a", Value: "b=c"}}, Body: []connection.Pair{{Name: "k", Value: "v"}}}}, []string{"X-A: 1\nX-B: {{secret.password}}", "a=b=c"}},
		{filledAuth("https://erp.example.com", "oauth2", "auth.oauth2.grant", "authorization_code", "auth.oauth2.authorizationUri", "https://login.example.com/authorize", "auth.oauth2.tokenUri", "/token", "auth.oauth2.revocationUri", "/revoke",
			"auth.oauth2.clientId", "id", "auth.oauth2.clientSecret", "{{secret.password}}", "auth.oauth2.scopes", "a  b", "auth.oauth2.clientAuthentication", "body", "auth.oauth2.parameters", "audience=erp"),
			connection.Auth{Type: "oauth2", OAuth2: &connection.OAuth2Auth{Grant: "authorization_code", AuthorizationURI: "https://login.example.com/authorize", TokenURI: "/token", RevocationURI: "/revoke", ClientID: "id", ClientSecret: "{{secret.password}}",
				Scopes: []string{"a", "b"}, ClientAuthentication: "body", Parameters: []connection.Pair{{Name: "audience", Value: "erp"}}}},
			[]string{`value="a b"`, "audience=erp", "/oauth/callback", "Save and sign in", `value="/revoke"`}},
		{filledAuth("https://erp.example.com", "digest", "auth.digest.username", "svc", "auth.digest.password", "{{secret.password}}"),
			connection.Auth{Type: "digest", Digest: &connection.DigestAuth{Username: "svc", Password: "{{secret.password}}"}}, []string{`name="auth.digest.password"`}},
	} {
		t.Run(string(test.want.Type), func(t *testing.T) {
			r := newRig(t)
			c := r.client()
			a := c.post("/connections/new", test.form)
			if a.status != http.StatusSeeOther {
				t.Fatalf("answered %d: %s", a.status, between(a.body, `<div id="form-errors">`, "</div></div>"))
			}
			saved := r.saved()[0]
			if diff := cmp.Diff(test.want, saved.Auth); diff != "" {
				t.Error(diff)
			}
			c.get("/connections/"+saved.ID+"/edit").contains(t, test.shows...)
			if page := c.get("/connections/" + saved.ID); page.status != http.StatusOK {
				t.Errorf("its page answered %d", page.status)
			}
			resolved, err := r.registry.Resolve(context.Background(), r.admin, saved.ID)
			if err != nil || resolved.Auth.Type != test.want.Type {
				t.Errorf("resolved %v, %v", resolved, err)
			}
		})
	}
}

func TestMistakesOfEachAuthenticationTypeAreShownAtTheirFields(t *testing.T) {
	r := newRig(t)
	c := r.client()
	for _, test := range []struct {
		form          url.Values
		errorAt, says string
	}{
		{filledAuth("https://erp.example.com", "basic", "auth.basic.username", "a:b", "auth.basic.password", "{{secret.password}}"), "auth.basic.username", "colon"},
		{filledAuth("https://erp.example.com", "token", "auth.token.in", "header"), "auth.token.token", "Enter the token"},
		{filledAuth("https://erp.example.com", "custom"), "auth.custom.headers", "Choose None"},
		{filledAuth("https://erp.example.com", "custom", "auth.custom.headers", "X-A: 1\nX B: 2"), "auth.custom.headers", "not a header name"},
		{filledAuth("https://erp.example.com", "custom", "auth.custom.query", "novalue"), "auth.custom.query", "has no"},
		{filledAuth("https://erp.example.com", "oauth2", "auth.oauth2.grant", "client_credentials", "auth.oauth2.clientAuthentication", "basic", "auth.oauth2.clientId", "id", "auth.oauth2.clientSecret", "{{secret.password}}"), "auth.oauth2.tokenUri", "token endpoint"},
		{filledAuth("https://erp.example.com", "oauth2", "auth.oauth2.grant", "client_credentials", "auth.oauth2.clientAuthentication", "basic", "auth.oauth2.parameters", "state=x", "auth.oauth2.scopes", "\"a"), "auth.oauth2.scopes", "can&#39;t be a scope"},
		{filledAuth("https://erp.example.com", "digest", "auth.digest.username", "svc", "auth.digest.password", "{{secret.nobody}}"), "auth.digest.password", "nobody"},
	} {
		a := c.post("/connections/new", test.form)
		slot := between(a.body, `id="e-`+test.errorAt+`">`, "</p>")
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(slot, test.says) {
			t.Errorf("%s: answered %d, at the field stands %q", test.errorAt, a.status, slot)
		}
	}
	if saved := r.saved(); len(saved) != 0 {
		t.Errorf("saved: %+v", saved)
	}
}

func TestAPersonIsLedToTheApplicationAndBack(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := filledAuth("https://erp.example.com", "oauth2", "auth.oauth2.grant", "authorization_code", "auth.oauth2.authorizationUri", "https://login.example.com/authorize", "auth.oauth2.tokenUri", "/token",
		"auth.oauth2.clientId", "id", "auth.oauth2.clientSecret", "{{secret.password}}", "auth.oauth2.clientAuthentication", "basic")
	form.Set("do", "authorize")
	a := c.post("/connections/new", form)
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Refresh"), "0; url=https://login.example.com/authorize?") {
		t.Fatalf("answered %d, leads to %q", a.status, a.header.Get("Refresh"))
	}
	a.contains(t, "Going to login.example.com", "Cancel")
	saved := r.saved()[0]
	c.get("/connections/"+saved.ID).contains(t, "Nobody has signed in with the application yet", "/connections/"+saved.ID+"/authorize")
	if a := c.post("/connections/"+saved.ID+"/authorize", nil); a.status != http.StatusOK {
		t.Errorf("the page's button: %d", a.status)
	}

	to, err := url.Parse(strings.TrimPrefix(a.header.Get("Refresh"), "0; url="))
	must(t, err)
	back := url.Values{"state": {to.Query().Get("state")}, "error": {"access_denied"}, "error_description": {"<b>no</b>"}}
	a = c.get("/oauth/callback?" + back.Encode())
	if a.status != http.StatusBadGateway {
		t.Errorf("a refusal: %d", a.status)
	}
	a.contains(t, "access_denied (&lt;b&gt;no&lt;/b&gt;)", "Sign in with the application")
	if a := c.get("/oauth/callback?state=x&code=y"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a forged state: %d", a.status)
	}
}

func TestATypedPasswordBecomesASecret(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := filledAuth("https://erp.example.com", "basic", "auth.basic.username", "svc", "auth.basic.password", "correct horse")
	if a := c.post("/connections/new", form); a.status != http.StatusSeeOther {
		t.Fatalf("answered %d: %s", a.status, between(a.body, `<div id="form-errors">`, "</div></div>"))
	}
	saved, err := r.registry.Resolve(context.Background(), r.admin, r.saved()[0].ID)
	must(t, err)
	// The form has a secret named password already, of the same login or of another.
	if saved.Auth.Basic.Password != "{{secret.password-2}}" || saved.Secrets["password-2"] != "correct horse" || saved.Secrets["password"] != password {
		t.Errorf("saved %+v", saved.Auth.Basic)
	}
	if page := c.get("/connections/" + saved.ID + "/edit"); strings.Contains(page.body, "correct horse") {
		t.Error("the form shows the password")
	}
}
