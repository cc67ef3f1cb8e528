package session

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
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/outbound"
	"sallyport/relay/connection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is an application with a cookie sign-in, of which a test bends one part.
type app struct {
	*httptest.Server
	signIns atomic.Int64
	login   func(w http.ResponseWriter, r *http.Request) // nil: the right password gets a cookie
	gate    chan struct{}                                // not nil: a sign-in waits for it
	cookies atomic.Value                                 // of the last sign-in: what it was sent
}

func newApp(t *testing.T) *app {
	a := &app{}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/login", func(w http.ResponseWriter, r *http.Request) {
		n := a.signIns.Add(1)
		a.cookies.Store(r.Header.Get("Cookie"))
		body, _ := io.ReadAll(r.Body) // first: only then does the server notice that its client left
		if a.gate != nil {
			select {
			case <-a.gate:
			case <-r.Context().Done():
				return
			}
		}
		if a.login != nil {
			a.login(w, r)
			return
		}
		if !strings.Contains(string(body), "hunter2") {
			fmt.Fprintf(w, "Fails. You sent %s", body)
			return
		}
		w.Header().Add("Set-Cookie", "SID="+strconv.FormatInt(n, 10)+"; Path=/; HttpOnly")
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// awaitSignIn returns once the application has been asked to sign in.
func (a *app) awaitSignIn(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); a.signIns.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody signs in")
		}
	}
}

func (a *app) connection() *connection.Connection {
	return &connection.Connection{
		ID: "con_1", WorkspaceID: "wsp_1",
		Spec: connection.Spec{
			Name: "App", Mode: connection.Cloud, BaseURI: a.URL + "/api", MediaType: connection.JSON,
			Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{
				Method: "POST", URI: "/login", Body: `{"password":"{{secret.password}}"}`,
			}},
		},
		Secrets: map[string]string{"password": "hunter2"},
	}
}

// memory is a Store without a disk.
type memory struct {
	mu       sync.Mutex
	sessions map[string]Session
	saves    int
	broken   error
}

func (m *memory) LoadSession(_ context.Context, ws, id string) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.sessions[ws+"/"+id]; ok {
		return s, nil
	}
	return Session{}, fmt.Errorf("load: %w", ErrNone)
}

func (m *memory) SaveSession(_ context.Context, ws string, s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if m.sessions == nil {
		m.sessions = make(map[string]Session)
	}
	m.sessions[ws+"/"+s.ConnectionID] = s
	m.saves++
	return nil
}

func (m *memory) DeleteSession(_ context.Context, ws, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, ws+"/"+id)
	return nil
}

// clock is set by hand.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func newKeeper(t *testing.T, s Store, c *clock, log *zap.Logger) *Keeper {
	var ids atomic.Int64
	k := NewKeeper(Options{Store: s, Clock: c.now, Log: log, NewID: func() string { return fmt.Sprintf("ses_%d", ids.Add(1)) }})
	t.Cleanup(k.Close)
	return k
}

func cloud(t *testing.T) http.RoundTripper {
	rt := outbound.New(outbound.Options{})
	t.Cleanup(rt.Close)
	return rt
}
