package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"sallyport/relay/connection"
)

// guardedSpec is a connection that uses all that surrounds a sign-in.
func guardedSpec(base string) connection.Spec {
	s := spec(base)
	s.Headers = []connection.Header{{Name: "X-CSRF-Token", Value: "{{signin.csrf}}"}, {Name: "X-Tenant", Value: "{{signin.tenant}}"}}
	s.Auth.Cookie.Headers = []connection.Header{{Name: "X-Own", Value: "a: b"}}
	s.Auth.Cookie.Before = &connection.FirstRequest{Method: "GET", URI: "/login", Headers: []connection.Header{{Name: "X-Want", Value: "Fetch"}}, Values: []connection.SignInValue{
		{Name: "csrf", From: connection.FromXPath, At: "//input[@name='t']/@value"}}}
	s.Auth.Cookie.Values = []connection.SignInValue{{Name: "tenant", From: connection.FromJSON, At: "tenant"}}
	s.Auth.Cookie.SignOut = &connection.SignOut{Method: "PUT", URI: "/logout", Body: `{"a": 1}`}
	s.Auth.Session = &connection.SessionLife{IdleMinutes: 30, MaxMinutes: 600, EndedStatusCodes: []int{401, 403}, SignInsPerMinute: 4}
	return connection.Defaults(s)
}

// guarded is an application for it.
func guarded(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/login", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<form><input name="t" value="t0ken-of-the-page"><input type="password"></form>`)
	})
	mux.HandleFunc("POST /api/session", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Csrf-Token") != "t0ken-of-the-page" || r.Header.Get("X-Own") != "a: b" {
			http.Error(w, "forged", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss10n", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: 3600})
		fmt.Fprint(w, `{"tenant": "tenant-4711"}`)
	})
	mux.HandleFunc("/api/me", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("SID"); err != nil || r.Header.Get("X-Tenant") != "tenant-4711" {
			http.Error(w, "who?", 440)
			return
		}
		fmt.Fprint(w, `{"data": {"ok": true}}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTheFormKeepsAllThatSurroundsASignIn(t *testing.T) {
	r := newRig(t)
	saved := r.connection(guardedSpec("https://shop.example"))
	c := r.client()
	page := c.get("/connections/" + saved.ID + "/edit")
	page.contains(t, `<details class="more advanced" id="chain" open>`, `<details class="more advanced" id="sign-out" open>`, `<details class="more advanced" id="session-life" open>`)
	form := formOf(t, page.body)
	if a := c.post("/connections/"+saved.ID+"/edit", form); a.status != http.StatusSeeOther {
		t.Fatalf("save: %d\n%s", a.status, a.body)
	}
	after, err := r.registry.Connection(context.Background(), r.admin, saved.ID)
	must(t, err)
	if diff := cmp.Diff(saved.Spec, after.Spec); diff != "" {
		t.Errorf("saved as it was shown, it is another one:\n%s", diff)
	}
	form.Set("version", fmt.Sprint(after.Version))
	form.Set("auth.cookie.before.values", "csrf cookie csrftoken")
	form.Set("auth.session.endedStatusCodes", "401, forbidden")
	form.Set("auth.cookie.values", "tenant = jason tenant")
	wrong := c.post("/connections/"+saved.ID+"/edit", form)
	wrong.contains(t, "Write each line as name = place", "“forbidden” is not a whole number", "“jason” is not a place of a value")
	for _, path := range []string{"auth.cookie.before.values", "auth.cookie.values", "auth.session.endedStatusCodes"} {
		wrong.contains(t, `href="#f-`+path+`"`)
	}

	plain := c.get("/connections/new")
	plain.contains(t, `<details class="more advanced" id="chain">`, `<details class="more advanced" id="session-life">`)
}

// formOf is what a browser would send of the page's connection form.
func formOf(t *testing.T, page string) url.Values {
	t.Helper()
	form := url.Values{}
	form.Set("do", "save")
	doc, err := html.Parse(strings.NewReader(page))
	must(t, err)
	for n := range doc.Descendants() {
		name := attr(n, "name")
		if n.Type != html.ElementNode || name == "" || !within(n, "connection-form") {
			continue
		}
		switch kind := attr(n, "type"); {
		case n.Data == "textarea" && n.FirstChild != nil:
			form.Add(name, n.FirstChild.Data)
		case n.Data == "textarea":
			form.Add(name, "")
		case n.Data == "select":
			for option := range n.ChildNodes() {
				if option.Data == "option" && (!form.Has(name) || has(option, "selected")) {
					form.Set(name, attr(option, "value"))
				}
			}
		case n.Data == "input" && (kind != "radio" && kind != "checkbox" || has(n, "checked")):
			form.Add(name, attr(n, "value"))
		}
	}
	return form
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func within(n *html.Node, id string) bool {
	for ; n != nil; n = n.Parent {
		if attr(n, "id") == id {
			return true
		}
	}
	return false
}

func TestTheSessionIsShownWithoutItsValues(t *testing.T) {
	r := newRig(t)
	s := guardedSpec(guarded(t))
	s.Auth.Cookie.SignOut = nil
	saved := r.connection(s)
	c := r.client()
	at := "/connections/" + saved.ID
	c.get(at).contains(t, "Not signed in. The next request signs in first.", "Sign in now")
	if a := c.post(at+"/sign-in", nil); a.status != http.StatusSeeOther {
		t.Fatalf("sign in: %d\n%s", a.status, a.body)
	}
	page := c.get(at)
	page.contains(t, "1 time, last because somebody asked for it", "<code>csrf</code>", "<code>tenant</code>", "<code>SID</code>", "127.0.0.1/", "HttpOnly", "SameSite=Lax", "Sign out")
	for _, secret := range []string{"s3ss10n", "t0ken-of-the-page", "tenant-4711"} {
		if strings.Contains(page.body, secret) {
			t.Errorf("the page shows %s", secret)
		}
	}

	test := c.post(at+"/test", nil)
	test.contains(t, "First request", "found", "The first request gave csrf.", "Without a session the application answers 440.", "Add 440",
		"set=auth.session.endedStatusCodes&amp;to=401%2C&#43;403%2C&#43;440")
	for _, secret := range []string{"s3ss10n", "t0ken-of-the-page", "tenant-4711"} {
		if strings.Contains(test.body, secret) {
			t.Errorf("the test shows %s", secret)
		}
	}

	wrong := "wrong"
	s.Auth.Cookie.Before.Values[0].At = "//input[@name='token']/@value"
	_, _, err := r.registry.UpdateConnection(context.Background(), r.admin, saved.ID, 0, s, map[string]*string{"password": &wrong})
	must(t, err)
	failed := c.post(at+"/sign-in", nil)
	if failed.status != http.StatusBadGateway {
		t.Errorf("a sign-in that fails: %d", failed.status)
	}
	failed.contains(t, "Not signed in.", "does not give the value csrf", "The sign-in fails: 1 failed sign-in in a row.")
	c.post(at+"/sign-in", nil)
	c.get(at).contains(t, "Waiting 15 s after 2 failed sign-ins, to keep the account from being locked.")
	c.post(at+"/test", nil).contains(t, "not found", "finds nothing in the answer (status 200)")
}
