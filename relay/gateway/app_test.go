package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.PostgresMain{M: m}) }

// site is an application with a cookie sign-in, and a relay's proxy route in
// front of it, each on a real server.
type site struct {
	app, relay *httptest.Server
	mux        *http.ServeMux // the application's, behind its sign-in
	c          *connection.Connection
	keeper     *session.Keeper
	signIns    atomic.Int64
	valid      atomic.Int64 // the session that the application accepts
	reached    atomic.Int64 // requests that got past the sign-in
	redirects  atomic.Bool  // to the sign-in page, in place of a 401
	broken     atomic.Bool  // the application refuses every session
	requests   *prometheus.Registry
	roads      *road.Roads
	gateway    *Gateway
}

const prefix = "/api/v1/connections/con_1/proxy"

func newSite(t testing.TB, log *zap.Logger) *site {
	s := &site{mux: http.NewServeMux(), requests: prometheus.NewRegistry()}
	s.app = httptest.NewServer(http.HandlerFunc(s.serveApp))
	t.Cleanup(s.app.Close)
	s.c = &connection.Connection{
		ID: "con_1", WorkspaceID: "wsp_1",
		Spec: connection.Spec{
			Name: "App", Mode: connection.Cloud, BaseURI: s.app.URL + "/base", MediaType: connection.JSON,
			Headers: []connection.Header{{Name: "X-Key", Value: "{{secret.key}}"}},
			Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
				Method: "POST", URI: "/session", Body: `{"password":"{{secret.password}}"}`,
			}},
		},
		Secrets: map[string]string{"password": "hunter2", "key": "k3y"},
	}
	cloud := outbound.New(outbound.Options{})
	t.Cleanup(cloud.Close)
	s.roads = road.New(cloud, nil)
	var ids atomic.Int64
	s.keeper = session.NewKeeper(session.Options{
		Store: &memory{}, Roads: s.roads, Log: log, NewID: func() string { return fmt.Sprintf("ses_%d", ids.Add(1)) },
	})
	t.Cleanup(s.keeper.Close)
	s.gateway = New(Options{Roads: s.roads, Sessions: s.keeper, Log: log, Registerer: s.requests})
	s.relay = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		s.gateway.Serve(w, r, s.c, Caller{Kind: "token", ID: r.Header.Get("X-Caller"), Name: "test"}, strings.TrimPrefix(r.URL.EscapedPath(), prefix), r.URL.RawQuery, "req-1")
	}))
	t.Cleanup(s.relay.Close)
	return s
}

func (s *site) serveApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/base/session" {
		n := s.signIns.Add(1)
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), "hunter2") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.valid.Store(n)
		w.Header().Set("Set-Cookie", "SID="+strconv.FormatInt(n, 10)+"; Path=/")
		return
	}
	cookie, err := r.Cookie("SID")
	if err != nil || cookie.Value != strconv.FormatInt(s.valid.Load(), 10) || s.broken.Load() {
		w.Header().Add("Set-Cookie", "SID=anonymous; Path=/")
		if s.redirects.Load() {
			http.Redirect(w, r, "/base/login.html?next=%2F", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.reached.Add(1)
	s.mux.ServeHTTP(w, r)
}

// expire ends the session at the application.
func (s *site) expire() { s.valid.Store(-1) }

// do sends a request through the proxy.
func (s *site) do(t testing.TB, method, path string, body io.Reader, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.relay.URL+prefix+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := s.relay.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// memory is a session.Store without a disk.
type memory struct{ m sync.Map }

func (m *memory) LoadSession(_ context.Context, ws, id string) (session.Session, error) {
	if s, ok := m.m.Load(ws + id); ok {
		return s.(session.Session), nil
	}
	return session.Session{}, session.ErrNone
}
func (m *memory) SaveSession(_ context.Context, ws string, s session.Session) error {
	m.m.Store(ws+s.ConnectionID, s)
	return nil
}
func (m *memory) DeleteSession(_ context.Context, ws, id string) error {
	m.m.Delete(ws + id)
	return nil
}
