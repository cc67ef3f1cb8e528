package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// TestRoundTripsOverTheTunnel counts what each thing costs over a long path
// between relay and agent: by cause, so that no time is measured. A tunnel that
// only forwards TCP pays two for a cold plain request, three for HTTPS.
func TestRoundTripsOverTheTunnel(t *testing.T) {
	far := newFarSite(t)
	plain, secure := far.application(t, false), far.application(t, true)
	for _, c := range []struct {
		name string
		want int // round trips
		do   func(*testing.T)
	}{
		{"a cold request", 1, func(t *testing.T) { far.request(t, plain, http.MethodGet, "") }},
		{"a cold HTTPS request", 1, func(t *testing.T) { far.request(t, secure, http.MethodGet, "") }},
		{"a cold POST", 1, func(t *testing.T) { far.request(t, plain, http.MethodPost, "hello") }},
		{"a cold HTTPS POST", 1, func(t *testing.T) { far.request(t, secure, http.MethodPost, "hello") }},
		{"a POST of 100 KB", 1, func(t *testing.T) { far.request(t, plain, http.MethodPost, strings.Repeat("x", 100_000)) }},
		{"an answer of 100 KB", 1, func(t *testing.T) { far.request(t, plain, http.MethodGet, "", "?bytes=100000") }},
		{"a test: sign-in plus ping", 2, func(t *testing.T) { far.test(t, plain) }},
		{"a test, HTTPS", 2, func(t *testing.T) { far.test(t, secure) }},
		{"a request that has to sign in first", 2, func(t *testing.T) {
			far.signOut(t, secure)
			far.request(t, secure, http.MethodGet, "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := far.least(t, c.want, c.do); got != c.want {
				t.Errorf("%d round trips, want %d", got, c.want)
			}
		})
	}
}

// farSite is a relay and an agent with a counted path between them.
type farSite struct {
	api       *apiclient.Client
	path      *testkit.Crossings
	agentID   string
	authority *testkit.Authority
}

func newFarSite(t *testing.T) *farSite {
	t.Helper()
	dir := t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	path, err := testkit.NewCrossings(listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(path.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &farSite{
		path: path, authority: testkit.NewAuthority(t, dir),
		api: &apiclient.Client{Base: "http://" + listen, Token: "sally_e2e" + rand.Text(), HTTP: &http.Client{Transport: transport, Timeout: time.Minute}},
	}
	testkit.Start(t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"),
		Args: []string{"serve", "--listen", listen, "--public-url", "http://" + path.Addr(), "--data", filepath.Join(dir, "relay")},
		Env:  []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + s.api.Token},
	})
	if err := s.api.AwaitReady(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	agent, err := s.api.CreateAgent(t.Context(), "Plant 2")
	if err != nil {
		t.Fatal(err)
	}
	s.agentID = agent.ID
	code, err := s.api.EnrolmentCode(t.Context(), s.agentID)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "agent")
	enroll := testkit.Start(t, testkit.ProcessOptions{
		Name: "enroll", Path: filepath.Join(bin, "sallyport-agent"),
		Args: []string{"enroll", "--relay", "http://" + path.Addr(), "--code", code, "--data", data},
	})
	if err := enroll.Err(); err != nil {
		t.Fatalf("enroll: %v", err)
	}
	testkit.Start(t, testkit.ProcessOptions{
		Name: "agent", Path: filepath.Join(bin, "sallyport-agent"),
		Args: []string{"run", "--data", data, "--target-ca-file", s.authority.File},
	})
	if err := s.api.AwaitAgent(within(t, 30*time.Second), s.agentID, "online"); err != nil {
		t.Fatal(err)
	}
	return s
}

// application starts an application that has a sign-in and closes every
// connection after its answer, and returns the path of a connection to it.
func (s *farSite) application(t *testing.T, secure bool) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "in", Path: "/"})
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("SID"); err != nil || c.Value != "in" {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("bytes"), &n)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"ok": true, "more": %q}`, strings.Repeat("x", n))
	})
	app := httptest.NewUnstartedServer(mux)
	app.Config.SetKeepAlivesEnabled(false)
	if secure {
		app.TLS = &tls.Config{Certificates: []tls.Certificate{s.authority.Certificate(t, "127.0.0.1", time.Now().Add(time.Hour))}}
		app.StartTLS()
	} else {
		app.Start()
	}
	t.Cleanup(app.Close)
	var saved struct {
		ID string `json:"id"`
	}
	err := s.api.Do(t.Context(), "POST", "/api/v1/connections", object{
		"name": app.URL, "mode": "on-premise", "agentId": s.agentID, "baseUri": app.URL,
		"auth": object{"type": "cookie", "cookie": object{"method": "POST", "uri": "/session", "body": "{}"}},
		"ping": object{"uri": "/me", "successPath": "ok", "successValues": []string{"true"}},
	}, &saved)
	if err != nil {
		t.Fatal(err)
	}
	connection := "/api/v1/connections/" + saved.ID
	s.request(t, connection, http.MethodGet, "") // makes the session
	return connection
}

// least counts several times, since what happens beside makes a count larger:
// until it is as small as wanted, or nothing makes it so.
func (s *farSite) least(t *testing.T, want int, do func(*testing.T)) int {
	t.Helper()
	least := 0
	for i := range 20 {
		s.path.Reset()
		do(t)
		crossings := s.path.AtTarget() // the relay is what the agent dials
		if i == 0 || crossings < least {
			least = crossings
		}
		if least <= 2*want {
			break
		}
	}
	return (least + 1) / 2
}

func (s *farSite) request(t *testing.T, connection, method, body string, query ...string) {
	t.Helper()
	r, err := s.api.Request(t.Context(), method, connection+"/proxy/me"+strings.Join(query, ""), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.api.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(b), `"ok": true`) {
		t.Fatalf("%s, %.300s, %v", res.Status, b, err)
	}
}

func (s *farSite) test(t *testing.T, connection string) {
	t.Helper()
	var result struct {
		OK    bool `json:"ok"`
		Steps any  `json:"steps"`
	}
	if err := s.api.Do(t.Context(), "POST", connection+"/test", nil, &result); err != nil {
		t.Fatal(err)
	}
	if !result.OK {
		t.Fatalf("the test failed: %v", result.Steps)
	}
}

func (s *farSite) signOut(t *testing.T, connection string) {
	t.Helper()
	if err := s.api.Do(t.Context(), "DELETE", connection+"/session", nil, nil); err != nil {
		t.Fatal(err)
	}
}
