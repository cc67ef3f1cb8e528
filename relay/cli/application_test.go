package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// What the application's account is. The password has what breaks carelessly
// filled JSON.
const (
	appPassword = `pa"ss\word-4711`
	appCookie   = "cookie-value-0815"
)

// application is a target with a cookie sign-in, as they stand behind
// firewalls.
type application struct {
	*httptest.Server
	signIns atomic.Int32
	expired atomic.Bool // the next use of a session is answered 401
}

func startApplication(t *testing.T) *application {
	t.Helper()
	app := &application{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/session", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ User, Password string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Password != appPassword {
			fmt.Fprint(w, "Fails.")
			return
		}
		app.signIns.Add(1)
		app.expired.Store(false)
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: appCookie, Path: "/", HttpOnly: true})
		fmt.Fprint(w, `{"ok":true}`)
	})
	app.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/session" {
			mux.ServeHTTP(w, r)
			return
		}
		if c, err := r.Cookie("sid"); err != nil || c.Value != appCookie || app.expired.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Seen-Uri", r.RequestURI)
		w.Header().Set("Content-Type", "application/json")
		if r.Method == "BREW" {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, `{"ok":true}`)
	}))
	t.Cleanup(app.Close)
	return app
}

// connection is a document of a connection to the application; changes replace
// its fields.
func (app *application) connection(changes map[string]any) string {
	doc := map[string]any{
		"name": "Plant 2 ERP", "mode": "cloud", "baseUri": app.URL + "/api", "mediaType": "json",
		"auth": map[string]any{"type": "cookie", "cookie": map[string]any{
			"method": "POST", "uri": "/session", "body": `{"user":"svc","password":"{{secret.password}}"}`, "successStatusCode": 200}},
		"ping":    map[string]any{"method": "GET", "uri": "/me", "successPath": "ok", "successValues": []string{"true"}},
		"secrets": map[string]any{"password": appPassword},
	}
	for name, value := range changes {
		if value == nil {
			delete(doc, name)
			continue
		}
		doc[name] = value
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the test's own maps always marshal
	}
	return string(text)
}
