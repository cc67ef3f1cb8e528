package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func do(t *testing.T, app http.Handler, cookie, method, path, body string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	rec := httptest.NewRecorder()
	app.ServeHTTP(rec, r)
	res := rec.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func signIn(t *testing.T, app http.Handler) string {
	t.Helper()
	res, body := do(t, app, "", "POST", "/api/session", `{"user":"svc","password":"pa\"ss"}`)
	if res.StatusCode != 200 || len(res.Cookies()) != 1 || !res.Cookies()[0].HttpOnly {
		t.Fatalf("sign-in: %d %s, cookies %v", res.StatusCode, body, res.Cookies())
	}
	c := res.Cookies()[0]
	return c.Name + "=" + c.Value
}

func TestSessionLastsAsLongAsItIsUsed(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	app := newWarehouse("svc", `pa"ss`, 10*time.Minute, c.Now).routes()
	cookie := signIn(t, app)
	for range 3 {
		c.now = c.now.Add(9 * time.Minute)
		if res, body := do(t, app, cookie, "GET", "/api/me", ""); res.StatusCode != 200 || !strings.Contains(body, `"ok":true`) {
			t.Fatalf("a session in use: %d %s", res.StatusCode, body)
		}
	}
	c.now = c.now.Add(11 * time.Minute)
	if res, body := do(t, app, cookie, "GET", "/api/me", ""); res.StatusCode != 401 || !strings.Contains(body, "session_ended") {
		t.Fatalf("a session left alone: %d %s", res.StatusCode, body)
	}
	cookie = signIn(t, app)
	do(t, app, cookie, "DELETE", "/api/session", "")
	if res, _ := do(t, app, cookie, "GET", "/api/me", ""); res.StatusCode != 401 {
		t.Fatalf("after signing out: %d", res.StatusCode)
	}
}

func TestAnswers(t *testing.T) {
	app := newWarehouse("svc", `pa"ss`, time.Minute, time.Now).routes()
	cookie := signIn(t, app)
	cases := []struct {
		name, cookie, method, path, body string
		status                           int
		contains                         string
	}{
		{"wrong password", "", "POST", "/api/session", `{"user":"svc","password":"x"}`, 401, "invalid_credentials"},
		{"sign-in that is not JSON", "", "POST", "/api/session", `user=svc`, 400, "invalid_json"},
		{"sign-in with a huge body", "", "POST", "/api/session", `{"user":"` + strings.Repeat("a", maxBody) + `"}`, 413, "too_large"},
		{"not signed in", "", "GET", "/api/orders", "", 401, "not_signed_in"},
		{"orders", cookie, "GET", "/api/orders", "", 200, "Birch Foods"},
		{"orders by state", cookie, "GET", "/api/orders?state=lost", "", 200, `"orders":[]`},
		{"a new order", cookie, "POST", "/api/orders", `{"customer":"Elm","item":"Crate","quantity":3}`, 201, `"id":1004`},
		{"an order", cookie, "GET", "/api/orders/1004", "", 200, `"customer":"Elm"`},
		{"half an order", cookie, "POST", "/api/orders", `{"customer":"Elm"}`, 422, "invalid_order"},
		{"no such order", cookie, "GET", "/api/orders/7", "", 404, "no_such_order"},
		{"upload", cookie, "POST", "/api/files", "abc", 200, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"no such page", cookie, "GET", "/nowhere", "", 404, "not_found"},
	}
	for _, c := range cases {
		res, body := do(t, app, c.cookie, c.method, c.path, c.body)
		if res.StatusCode != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, res.StatusCode, body, c.status, c.contains)
		}
	}
	if res, body := do(t, app, cookie, "GET", "/api/files/2", ""); res.StatusCode != 200 || len(body) != 2<<20 {
		t.Errorf("download: %d, %d bytes", res.StatusCode, len(body))
	}
}
