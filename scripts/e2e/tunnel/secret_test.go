package tunnel

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/agent/forward"
	"sallyport/agent/hostpattern"
	"sallyport/agent/link"
	"sallyport/agent/secret"
	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/gateway"
	"sallyport/relay/probe"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// sitePassword would break out of every place if it were not escaped.
const sitePassword = `w"are<h>ou%se& 9+ü`

// guarded runs an agent with secrets of its own, as its program does.
func (r *relay) guarded(secrets map[string]secret.Source, able bool) {
	r.t.Helper()
	settings, err := secret.Prepare(secret.Settings{Secrets: secrets})
	if err != nil {
		r.t.Fatal(err)
	}
	store := secret.New(settings, secret.Options{})
	transport := outbound.New(outbound.Options{})
	r.t.Cleanup(func() { transport.Close(); store.Close() })
	r.agent(r.dir.enrol("agt_1", "ins_1"), forward.New(forward.Options{Transport: store.Wrap(transport)}).Serve, func(o *link.Options) {
		if able {
			o.Machine.Capabilities = []string{proto.CapabilityFill}
		}
	})
	r.awaitTunnels(2)
}

// fromFile is a secret in a file of its own.
func fromFile(t *testing.T, value string, mode os.FileMode, hosts ...string) secret.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(value+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	s := secret.Source{File: path}
	for _, h := range hosts {
		p, err := hostpattern.Parse(h)
		if err != nil {
			t.Fatal(err)
		}
		s.Hosts = append(s.Hosts, p)
	}
	return s
}

// echoing is an application that shows all that it is sent, as some do.
type echoing struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // of each request: URI, key, authorization and body
}

func newEchoing(t *testing.T) *echoing {
	e := &echoing{}
	e.Server = target(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		seen := fmt.Sprintf("%s %s | key %s | basic %s:%s | %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Key"), user, password, body)
		e.mu.Lock()
		e.seen = append(e.seen, seen)
		e.mu.Unlock()
		if r.URL.Path == "/api/session" {
			w.Header().Set("Set-Cookie", "SID=abcdefgh; Path=/")
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "echo": seen, "authorization": r.Header.Get("Authorization")})
	})
	return e
}

func (e *echoing) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.seen...)
}

// connection uses the agent's secrets in every place where it can.
func (e *echoing) connection() *connection.Connection {
	return &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Defaults(connection.Spec{
		Name: "ERP", Mode: connection.OnPremise, AgentID: "agt_1", BaseURI: e.URL + "/api",
		Headers: []connection.Header{{Name: "X-Key", Value: "{{agent.secret.key}}"}, {Name: "Authorization", Value: "Basic svc:{{agent.secret.password}}"}},
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session?k={{agent.secret.key}}",
			Body: `{"password":"{{agent.secret.password}}"}`}},
		Ping: connection.Ping{URI: "/me/{{agent.secret.key}}", SuccessPath: "ok", SuccessValues: []string{"true"}},
	})}
}

// sessions is a session.Store in memory.
type sessions struct{ m sync.Map }

func (s *sessions) LoadSession(_ context.Context, ws, id string) (session.Session, error) {
	if found, ok := s.m.Load(ws + id); ok {
		return found.(session.Session), nil
	}
	return session.Session{}, session.ErrNone
}
func (s *sessions) SaveSession(_ context.Context, ws string, saved session.Session) error {
	s.m.Store(ws+saved.ConnectionID, saved)
	return nil
}
func (s *sessions) DeleteSession(_ context.Context, ws, id string) error {
	s.m.Delete(ws + id)
	return nil
}

// doors are the relay's Test and its proxy route for one connection.
func (r *relay) doors(c *connection.Connection) (test func() probe.Result, proxy *httptest.Server) {
	r.t.Helper()
	roads := road.New(nil, r.hub)
	var ids atomic.Int64
	keeper := session.NewKeeper(session.Options{Store: &sessions{}, NewID: func() string { return fmt.Sprintf("ses_%d", ids.Add(1)) }, Log: r.log})
	r.t.Cleanup(keeper.Close)
	prober := probe.New(probe.Options{Roads: roads, Sessions: keeper, Presence: r.hub, Log: r.log})
	g := gateway.New(gateway.Options{Roads: roads, Sessions: keeper, Log: r.log})
	proxy = target(r.t, func(w http.ResponseWriter, req *http.Request) {
		g.Serve(w, req, c, gateway.Caller{Kind: "token", ID: "tok_1"}, req.URL.EscapedPath(), req.URL.RawQuery, "req-1")
	})
	return func() probe.Result { return prober.Run(r.t.Context(), c, "req-1", nil) }, proxy
}

func TestSecretsOfTheAgentNeverReachTheRelay(t *testing.T) {
	const key = "k3y-of-plant-2"
	app := newEchoing(t)
	r := newRelay(t, false)
	r.guarded(map[string]secret.Source{"password": fromFile(t, sitePassword, 0o600, "127.0.0.1"), "key": fromFile(t, key, 0o600)}, true)
	test, proxy := r.doors(app.connection())
	result := test()
	if !result.OK {
		t.Fatalf("the test failed: %+v", result)
	}
	var sent struct{ Password string }
	seen := app.requests()
	_, body, _ := strings.Cut(seen[0], `:`+sitePassword+" | ")
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Password != sitePassword || !strings.HasPrefix(seen[0], "POST /api/session?k="+key+" | key "+key+" | basic svc:"+sitePassword) {
		t.Errorf("the sign-in was %s", seen[0])
	}
	if !strings.HasPrefix(seen[1], "GET /api/me/"+key+" | key "+key) {
		t.Errorf("the ping was %s", seen[1])
	}
	shown, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{key, "w\\\"are", "are<h>ou", "are\\u003ch", url.QueryEscape(sitePassword), "ou%se"} {
		if strings.Contains(string(shown), value) {
			t.Errorf("the result shows %q: %s", value, shown)
		}
	}
	if got := result.Steps[2].Request.URL; !strings.HasSuffix(got, "/api/me/{{agent.secret.key}}") {
		t.Errorf("the ping is shown as %s", got)
	}
	if !strings.Contains(result.Steps[2].Response.Body, `"ok":true`) || !strings.Contains(result.Steps[2].Response.Body, "***") {
		t.Errorf("the answer is shown as %s", result.Steps[2].Response.Body)
	}

	// A caller's own text is never filled in, even if the application echoes it.
	forged := "{{agent.secret.password}} agent.secret.password." + strings.Repeat("A", 26) + "_0_"
	req, err := http.NewRequestWithContext(t.Context(), "POST", proxy.URL+"/orders?q="+url.QueryEscape(forged), strings.NewReader(forged))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Key", forged)
	req.Header.Set("X-Forged", forged)
	req.Header.Set(proto.HeaderFill, proto.Fill{Mark: "agent.secret.password." + strings.Repeat("A", 26) + "_0_", Place: proto.FillInBody, Escape: "none", Secret: "password"}.String())
	resp, err := http.DefaultClient.Do(req)
	got := mustRead(t, resp, err)
	all := app.requests()
	last := all[len(all)-1] // after the sign-in and the pings of the test
	if !strings.HasPrefix(last, "POST /api/orders?q="+url.QueryEscape(forged)+" | key "+key+" | basic svc:"+sitePassword+" | "+forged) || resp.StatusCode != 200 {
		t.Errorf("the application got %s, and answered %s", last, got)
	}
}

func TestWhatIsAmissWithASecretIsToldInTheTest(t *testing.T) {
	for name, test := range map[string]struct {
		sources map[string]secret.Source
		able    bool
		code    proto.Code
		hint    string
	}{
		"unknown":       {map[string]secret.Source{}, true, proto.CodeSecretUnavailable, "under secrets: in agent.yaml"},
		"exposed":       {map[string]secret.Source{"key": fromFile(t, "k3y-of-plant-2", 0o644)}, true, proto.CodeSecretUnavailable, "chmod 600"},
		"another host":  {map[string]secret.Source{"key": fromFile(t, "k3y-of-plant-2", 0o600, "erp.test")}, true, proto.CodePolicyDenied, "adds 127.0.0.1:"},
		"agent too old": {map[string]secret.Source{"key": fromFile(t, "k3y-of-plant-2", 0o600)}, false, proto.CodeSecretUnavailable, "Update the agent"},
	} {
		t.Run(name, func(t *testing.T) {
			app := newEchoing(t)
			c := app.connection()
			c.Auth = connection.Auth{Type: connection.AuthNone}
			c.Headers = c.Headers[:1]
			r := newRelay(t, false)
			r.guarded(test.sources, test.able)
			run, proxy := r.doors(c)
			step := run().Steps[2]
			if step.Status != probe.Failed || step.Code != string(test.code) || !strings.Contains(step.Hint, test.hint) || step.HintID != "agent-secret" {
				t.Errorf("%+v", step)
			}
			resp, err := http.Get(proxy.URL + "/orders")
			if body := mustRead(t, resp, err); resp.Header.Get(proto.HeaderError) != string(test.code) || !strings.Contains(body, `"outcome":"not_sent"`) {
				t.Errorf("%s %s", resp.Status, body)
			}
			if seen := app.requests(); len(seen) > 0 {
				t.Errorf("sent: %v", seen)
			}
		})
	}
}
