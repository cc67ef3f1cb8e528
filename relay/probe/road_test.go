package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is the real engine below a Prober: the road, the sign-in and the jar as
// in a relay. Only the tunnel is left out: the agent's road is the same
// outbound transport.
type site struct {
	t         *testing.T
	prober    *Prober
	transport *outbound.Transport
	logs      *observer.ObservedLogs
	machines  []hub.Instance
	hurry     time.Duration // in place of the time that requests have; 0: theirs
}

// RoundTrip is both roads.
func (s *site) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.hurry > 0 {
		req = req.Clone(req.Context())
		req.Header[proto.HeaderTimeout] = []string{strconv.FormatInt(s.hurry.Milliseconds(), 10)}
	}
	return s.transport.RoundTrip(req)
}

func (s *site) Instances(string) []hub.Instance       { return s.machines }
func (s *site) Road(agentID string) http.RoundTripper { return s }

// memory is a session.Store.
type memory struct {
	mu    sync.Mutex
	saved map[string]session.Session
}

func (m *memory) LoadSession(_ context.Context, ws, id string) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.saved[ws+id]; ok {
		return s, nil
	}
	return session.Session{}, session.ErrNone
}

func (m *memory) SaveSession(_ context.Context, ws string, s session.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved[ws+s.ConnectionID] = s
	return nil
}

func (m *memory) DeleteSession(_ context.Context, ws, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.saved, ws+id)
	return nil
}

func newSite(t *testing.T, o outbound.Options) *site {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(core)
	s := &site{t: t, transport: outbound.New(o), logs: logs}
	t.Cleanup(func() { s.transport.Close() })
	keeper := session.NewKeeper(session.Options{Store: &memory{saved: map[string]session.Session{}}, NewID: func() string { return "ses_1" }, Clock: time.Now, Log: log})
	t.Cleanup(keeper.Close)
	s.prober = New(Options{Roads: road.New(s, s), Sessions: keeper, Presence: s, Clock: time.Now, Log: log})
	return s
}

// test runs a test and checks what holds for every one.
func (s *site) test(c *connection.Connection) Result {
	s.t.Helper()
	c.Spec = connection.Defaults(c.Spec)
	var live []Step
	r := s.prober.Run(s.t.Context(), c, "req-1", func(step Step) { live = append(live, step) })
	var finished []Step
	running := ""
	for _, step := range live {
		if step.Status == Running {
			running = step.Name
			continue
		}
		if step.Status != Skipped && running != step.Name {
			s.t.Errorf("the step %s ended without having begun", step.Name)
		}
		finished = append(finished, step)
	}
	if len(r.Steps) != 3 || len(finished) != 3 {
		s.t.Fatalf("%d steps, %d of them told live", len(r.Steps), len(finished))
	}
	for _, step := range r.Steps {
		if step.Message == "" || strings.ContainsAny(step.Message, "\r\n") {
			s.t.Errorf("%s: the message %q is not one line", step.Name, step.Message)
		}
		if step.Status != Failed && step.Hint != "" {
			s.t.Errorf("%s: a hint on a step that did not fail: %s", step.Name, step.Hint)
		}
	}
	for _, entry := range s.logs.All() {
		for _, f := range entry.Context {
			for _, secret := range c.Secrets {
				if strings.Contains(f.String, secret) {
					s.t.Errorf("a secret in the log: %s %v", entry.Message, f)
				}
			}
		}
	}
	return r
}

// failed returns the step that failed.
func failed(t *testing.T, r Result) Step {
	t.Helper()
	for _, step := range r.Steps {
		if step.Status == Failed {
			if r.OK {
				t.Error("a failed step in a result that is OK")
			}
			return step
		}
	}
	t.Fatalf("no step failed: %+v", r.Steps)
	return Step{}
}

// app is an application with a cookie sign-in that works, to be spoiled.
type app struct {
	cookie http.Cookie
	signIn http.HandlerFunc // nil: POST with the right password sets the cookie
	ping   http.HandlerFunc // nil: needs the cookie and answers {"ok":true}
}

func (a app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/in", "/in":
		if a.signIn != nil {
			a.signIn(w, r)
			return
		}
		if r.PostFormValue("password") != password {
			http.Error(w, "wrong", http.StatusUnauthorized)
			return
		}
		http.SetCookie(w, &a.cookie)
		w.WriteHeader(http.StatusOK)
	case "/api/me":
		if a.ping != nil {
			a.ping(w, r)
			return
		}
		if c, err := r.Cookie(a.cookie.Name); err != nil || c.Value != a.cookie.Value {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		writeJSON(w, `{"ok":true}`)
	case "/login":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(loginPage))
	default:
		http.NotFound(w, r)
	}
}

const (
	password  = `p"ss&wörd`
	loginPage = `<!doctype html><html><head><title>Log in – ERP</title></head><body><form action="/j_check" method="post"><input name="u"><input type="password" name="p"></form></body></html>`
)

func writeJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}

func answerJSON(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, body) }
}

func answerStatus(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func workingApp() app {
	return app{cookie: http.Cookie{Name: "SID", Value: "s3ss1on-value", Path: "/"}}
}

// to describes a connection to a server that runs an app.
func to(base string) *connection.Connection {
	return &connection.Connection{WorkspaceID: "wsp_1", Spec: connection.Spec{
		Name: "ERP", Mode: connection.Cloud, BaseURI: base + "/api", MediaType: connection.URLEncoded,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/in", Body: "user=svc&password={{secret.password}}"}},
		Ping: connection.Ping{URI: "/me", SuccessPath: "ok", SuccessValues: []string{"true"}},
	}, Secrets: map[string]string{"password": password}}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// closedPort is an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().String()
}

func oneMachine() []hub.Instance { return []hub.Instance{{ID: "ins_1", Hostname: "plc-7"}} }

// noSuchName is a resolver whose DNS server, a real one on loopback, knows no
// name at all.
func noSuchName(t *testing.T) *net.Resolver { return answeringDNS(t, 3) }

// answeringDNS is a resolver whose DNS server answers every question with one
// code (RFC 1035, section 4.1.1).
func answeringDNS(t *testing.T, code byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if n < 12 {
				continue
			}
			buf[2], buf[3] = buf[2]|0x80, code // an answer
			buf[10], buf[11] = 0, 0            // without the additional records of the question
			_, _ = server.WriteTo(buf[:questionEnd(buf[:n])], from)
		}
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return resolverAt(server.LocalAddr().String())
}

func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", address)
	}}
}

// questionEnd is where the first question of a DNS message ends.
func questionEnd(message []byte) int {
	at := 12
	for at < len(message) && message[at] != 0 {
		at += 1 + int(message[at])
	}
	return min(at+5, len(message))
}
