package web_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/relay/connection"
)

// stranger is a browser that is not signed in.
func (r *rig) stranger() *client {
	c := r.client()
	jar, err := cookiejar.New(nil)
	must(r.t, err)
	c.http.Jar = jar
	return c
}

func TestSignInLinkIsUsedUpByTheButtonNotByOpeningIt(t *testing.T) {
	r := newRig(t)
	c := r.stranger()
	for range 3 { // as programs that preview links do
		if a := c.get(r.signIn); a.status != http.StatusOK || !strings.Contains(a.body, "<button") {
			t.Fatalf("opening the link: %d %s", a.status, a.body)
		}
	}
	if a := c.post(r.signIn, nil); a.status != http.StatusSeeOther || a.header.Get("Location") != "/connections?notice=set-password" {
		t.Fatalf("pressing the button: %d to %s", a.status, a.header.Get("Location"))
	}
	c.get("/connections?notice=set-password").contains(t, "Set a password", `href="/settings#password"`)

	other := r.stranger()
	a := other.post(r.signIn, nil)
	if a.status != http.StatusUnauthorized {
		t.Fatalf("pressing it again: %d", a.status)
	}
	a.contains(t, "used before", "sallyport-relay user link")
}

func TestPagesLeadStrangersToSignInAndBack(t *testing.T) {
	r := newRig(t)
	c := r.stranger()
	for _, path := range []string{"/", "/connections", "/connections/new", "/agents", "/settings", "/nowhere"} {
		if a := c.get(path); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/sign-in") {
			t.Errorf("GET %s: %d to %q", path, a.status, a.header.Get("Location"))
		}
	}
	if to := c.get("/connections?q=a%20b").header.Get("Location"); to != "/sign-in?next="+url.QueryEscape("/connections?q=a%20b") {
		t.Errorf("sign-in does not know where to go back to: %s", to)
	}
}

func TestPasswordSignIn(t *testing.T) {
	r := newRig(t)
	const secret = "correct horse battery"
	owner := r.client()
	if a := owner.post("/settings/password", url.Values{"new": {"short"}}); a.status != http.StatusUnprocessableEntity {
		t.Fatalf("a short password: %d", a.status)
	} else {
		a.contains(t, "at least 12 characters", `id="f-new"`)
	}
	if a := owner.post("/settings/password", url.Values{"new": {secret}}); a.status != http.StatusSeeOther {
		t.Fatalf("set the password: %d %s", a.status, a.body)
	}
	if a := owner.get("/connections"); a.status != http.StatusOK {
		t.Errorf("setting a password signed its owner out: %d", a.status)
	}
	a := owner.post("/settings/password", url.Values{"current": {"wrong"}, "new": {secret + "!"}})
	a.contains(t, `<p class="error" id="e-current">The current password is wrong`)

	c := r.stranger()
	a = c.post("/sign-in", url.Values{"email": {"admin@localhost"}, "password": {"wrong"}, "next": {"/agents"}})
	if a.status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", a.status)
	}
	a.contains(t, `value="admin@localhost"`, `role="alert"`)
	if strings.Contains(a.body, `value="wrong"`) {
		t.Error("the page gives the password back")
	}
	for next, want := range map[string]string{
		"/agents": "/agents", "": "/connections", "//evil.example": "/connections", "https://evil.example/": "/connections",
		`/\evil.example`: "/connections", "/sign-in": "/connections", "javascript:alert(1)": "/connections",
	} {
		a = c.post("/sign-in", url.Values{"email": {"admin@localhost"}, "password": {secret}, "next": {next}})
		if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("sign in with next=%q: %d to %q, want %q", next, a.status, a.header.Get("Location"), want)
		}
	}
	if a = c.post("/sign-out", nil); a.status != http.StatusSeeOther {
		t.Fatalf("sign out: %d", a.status)
	}
	if a = c.get("/agents"); a.status != http.StatusSeeOther {
		t.Errorf("signed out, but still shown: %d", a.status)
	}
}

func TestOtherSitesCannotPostInAPersonsName(t *testing.T) {
	r := newRig(t)
	c := r.client()
	conn := r.connection(spec("https://erp.example.com"))
	for name, set := range map[string]func(http.Header){
		"fetch metadata": func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"origin":         func(h http.Header) { h.Set("Origin", "https://evil.example") },
	} {
		req, err := http.NewRequest(http.MethodPost, r.url+"/connections/"+conn.ID+"/delete", strings.NewReader("confirm=Warehouse"))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		set(req.Header)
		resp, err := c.http.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if _, err := r.registry.Connection(context.Background(), r.admin, conn.ID); err != nil {
		t.Errorf("the connection is gone: %v", err)
	}
}

func TestViewersMayLookButNotChange(t *testing.T) {
	r := newRig(t)
	typed := spec("https://erp.example.com")
	typed.Headers = []connection.Header{{Name: "X-Api-Key", Value: "t0p-key"}}
	conn := r.connection(typed)
	agent, _ := r.agent("Plant 2")
	_, link, err := r.accounts.CreateUser(context.Background(), r.admin, "vera@example.com", "Vera", "viewer")
	must(t, err)
	c := r.stranger()
	c.post(link, nil)
	a := c.get("/connections/" + conn.ID)
	if a.status != http.StatusOK || strings.Contains(a.body, "/edit") || strings.Contains(a.body, "Send a request") {
		t.Errorf("a viewer is offered what is refused: %d", a.status)
	}
	if strings.Contains(a.body, "t0p-key") || !strings.Contains(a.body, "X-Api-Key: (hidden)") {
		t.Error("a viewer is shown a credential")
	}
	for _, path := range []string{"/connections/new", "/connections/" + conn.ID + "/edit", "/connections/" + conn.ID + "/test",
		"/connections/" + conn.ID + "/send", "/connections/" + conn.ID + "/sign-out", "/connections/" + conn.ID + "/delete",
		"/agents/new", "/agents/" + agent.ID + "/install", "/agents/" + agent.ID + "/rename", "/agents/" + agent.ID + "/remove", "/settings/tokens"} {
		form := url.Values{"do": {"save"}, "name": {"x"}, "role": {"admin"}, "confirm": {"Warehouse"}}
		if strings.HasPrefix(path, "/agents/"+agent.ID+"/remove") {
			form.Set("confirm", "Plant 2")
		}
		a := c.post(path, form)
		if a.status != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, a.status)
		}
		a.contains(t, "You may not do that", "administrator")
	}
}

func TestTokensAreShownOnce(t *testing.T) {
	r := newRig(t)
	c := r.client()
	a := c.post("/settings/tokens", url.Values{"name": {""}, "role": {"editor"}, "expires": {"30"}})
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("a token without a name: %d", a.status)
	}
	a.contains(t, `id="e-token-name">The name must have`)
	c.post("/settings/tokens", url.Values{"name": {"x"}, "role": {"boss"}, "expires": {"30"}}).contains(t, `id="e-token-name"></p>`, `id="e-role">&#34;boss&#34; is not a role`)
	for _, days := range []string{"", "x", "-5", "99999999"} { // none of them may mean never
		if a = c.post("/settings/tokens", url.Values{"name": {"x"}, "role": {"viewer"}, "expires": {days}}); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a token for %q days: %d", days, a.status)
		}
		a.contains(t, `id="e-expires">Choose one of these.`)
	}
	a = c.post("/settings/tokens", url.Values{"name": {"Nightly import"}, "role": {"editor"}, "expires": {"30"}})
	a.contains(t, "sally_", "it is not shown again", "Nightly import")
	if a = c.get("/settings"); strings.Count(a.body, "sally_") > 0 {
		t.Error("the token is shown again")
	}
	tokens, err := r.accounts.Tokens(context.Background(), r.admin)
	must(t, err)
	if days := time.Until(*tokens[0].ExpiresAt).Hours() / 24; days < 29 || days > 31 {
		t.Errorf("it expires in %v days", days)
	}
	if a = c.post("/settings/tokens/"+tokens[0].ID+"/revoke", nil); a.status != http.StatusSeeOther {
		t.Fatalf("revoke: %d", a.status)
	}
	c.get("/settings").contains(t, "No token yet")
}
