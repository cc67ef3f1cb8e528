package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/escape"
	"sallyport/internal/testkit"
)

// echo is an application that answers everything with all that it was sent, as
// it is and encoded, even where it refuses.
func echo(t *testing.T, password string) *httptest.Server {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/orders" { // a good citizen
			fmt.Fprint(w, "42")
			return
		}
		sent := r.URL.RawQuery + " " + r.Header.Get("X-Key") + " " + string(body)
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "application/json")
		var in struct{ Password string }
		_ = json.Unmarshal(body, &in)
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/me?key="+r.URL.Query().Get("key"), http.StatusFound)
			return
		case r.URL.Path == "/session" && in.Password == password:
			http.SetCookie(w, &http.Cookie{Name: "SID", Value: "abcdefgh", Path: "/"})
		case r.URL.Path == "/session":
			w.WriteHeader(http.StatusUnauthorized)
		}
		_ = json.NewEncoder(w).Encode(object{"ok": true, "echo": sent, "base64": base64.StdEncoding.EncodeToString([]byte("u:" + in.Password)), "url": url.QueryEscape(in.Password)})
	}))
	t.Cleanup(app.Close)
	return app
}

// TestSecretsOfTheAgentAreNowhereInTheRelay signs in with secrets that the agent
// keeps, to an application that echoes them, and looks for them in the relay's
// memory, its database and both logs.
func TestSecretsOfTheAgentAreNowhereInTheRelay(t *testing.T) {
	// Their middles are the same in any encoding but base64.
	passwordMark, keyMark, relayMark := "pw"+rand.Text(), "key"+rand.Text(), "rel"+rand.Text()
	password, key := `"<&é`+passwordMark+`%+\`, keyMark
	app := echo(t, password)

	s := newStageAt(t, nil, "127.0.0.1", "")
	s.agent.MustStop(t)
	secrets := map[string]string{"password": password, "key": key}
	var config strings.Builder
	fmt.Fprint(&config, "secrets:\n")
	for name, value := range secrets {
		path := filepath.Join(s.agentData, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, "  %s: {file: %q, hosts: [127.0.0.1]}\n", name, path)
	}
	if err := os.WriteFile(filepath.Join(s.agentData, "agent.yaml"), []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startAgent()

	connection := object{
		"name": "ERP", "mode": "on-premise", "agentId": s.agentID, "baseUri": app.URL,
		"headers": []object{{"name": "X-Key", "value": "{{agent.secret.key}}"}, {"name": "X-Relay", "value": "{{secret.relay}}"}},
		"auth": object{"type": "cookie", "cookie": object{
			"method": "POST", "uri": "/session?key={{agent.secret.key}}", "body": `{"user":"svc","password":"{{agent.secret.password}}"}`}},
		"ping":    object{"uri": "/moved?key={{agent.secret.key}}", "successPath": "ok", "successValues": []string{"true"}},
		"secrets": object{"relay": relayMark},
	}
	if r := s.test(t, connection); !r.OK {
		t.Fatalf("the test failed: %+v", r)
	}
	wrong := connection.with(object{"auth": object{"type": "cookie", "cookie": object{
		"method": "POST", "uri": "/session", "body": `{"user":"svc","passwd":"{{agent.secret.password}}"}`}}})
	if r := s.test(t, wrong); r.OK || !strings.Contains(r.Steps[1].Message, "401") || !strings.Contains(r.Steps[1].Message, "***") {
		t.Fatalf("a sign-in that is refused with an echo: %+v", r)
	}
	missing := connection.with(object{"headers": []object{{"name": "X-Key", "value": "{{agent.secret.absent}}"}}})
	if r := s.test(t, missing); r.OK || r.Steps[1].Code != "secret_unavailable" || !strings.Contains(r.Steps[1].Hint, "agent.yaml") {
		t.Fatalf("a secret that there is not: %+v", r)
	}
	id := s.save(t, connection)
	for range 20 {
		if a := s.get(t, id, "/orders"); a.StatusCode != 200 || a.body != "42" {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}

	hidden := []string{passwordMark, keyMark}
	for _, value := range []string{password, key} {
		hidden = append(hidden, escape.Base64Within(value)...)
	}
	if found := testkit.InMemory(t, s.relay, append(hidden, relayMark, s.agentID)...); len(found) != 2 || found[0] != relayMark {
		t.Errorf("in the relay's memory are %q, want but its own secret and the agent's id", found)
	}
	if found := testkit.InMemory(t, s.agent, passwordMark, keyMark, relayMark+relayMark); len(found) != 2 {
		t.Errorf("in the agent's memory are %q: the search finds nothing", found)
	}
	for name, log := range map[string]*testkit.Log{"relay": s.relayLog, "agent": s.agentLog} {
		for _, text := range hidden {
			if lines := log.Lines(text); len(lines) > 0 {
				t.Errorf("the log of the %s has %q", name, lines[0])
			}
		}
	}
	if len(s.agentLog.Lines(`"secret":"absent"`)) == 0 {
		t.Error("the agent's log does not name the secret that there is not")
	}
	s.relay.MustStop(t)
	s.agent.MustStop(t)
	for name := range secrets {
		if err := os.Remove(filepath.Join(s.agentData, name)); err != nil {
			t.Fatal(err)
		}
	}
	noFileHas(t, s.relayData(), append(hidden, relayMark)) // what the relay stores is sealed
	noFileHas(t, s.agentData, append(hidden, relayMark))   // its ledger, too
}

// noFileHas looks for texts in all files of a folder.
func noFileHas(t *testing.T, dir string, texts []string) {
	t.Helper()
	files := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if strings.Contains(string(content), text) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	}); err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}
