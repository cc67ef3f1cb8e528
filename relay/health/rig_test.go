package health

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.PostgresMain{M: m}) }

// app is an application with a cookie sign-in, and the webhook's receiver. It is
// a road that leads to itself: no socket, so that time can be synctest's.
type app struct {
	broken  atomic.Bool // the ping is answered 500
	lost    atomic.Bool // the password no longer fits
	deaf    atomic.Bool // the webhook answers 503
	pings   atomic.Int32
	signIns atomic.Int32
	at      atomic.Int32 // requests under way
	most    atomic.Int32
	slow    atomic.Int64 // nanoseconds that each request takes

	mu      sync.Mutex // guards the following
	version int        // of the session that is accepted
	posts   []post
}

type post struct {
	header http.Header
	body   string
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n := a.at.Add(1); n > a.most.Load() {
		a.most.Store(n)
	}
	defer a.at.Add(-1)
	time.Sleep(time.Duration(a.slow.Load()))
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.URL.Path {
	case "/api/session":
		a.signIns.Add(1)
		if a.lost.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: fmt.Sprint("session-", a.version), Path: "/"})
	case "/api/me":
		a.pings.Add(1)
		if c, err := r.Cookie("sid"); err != nil || c.Value != fmt.Sprint("session-", a.version) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if a.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"error": "out of order"}`)
			return
		}
		fmt.Fprint(w, `{"ok": true, "user": "svc"}`)
	case "/hook/t0p-secret":
		body, _ := io.ReadAll(r.Body)
		a.posts = append(a.posts, post{r.Header.Clone(), string(body)})
		if a.deaf.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// expire ends the session that it has given.
func (a *app) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
}

func (a *app) posted() []post {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]post(nil), a.posts...)
}

func (a *app) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

// For implements probe.Roads.
func (a *app) For(*connection.Connection) http.RoundTripper { return a }

// relay is the rooms that a Watch needs, real ones but for the agents.
type relay struct {
	t        *testing.T
	store    *store.Store
	registry *registry.Registry
	watch    *Watch
	admin    account.Actor
	stop     func()

	mu       sync.Mutex // guards machines
	machines []hub.Instance
}

func (r *relay) Instances(string) []hub.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machines
}

func (r *relay) setMachines(machines ...hub.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machines = machines
}

// start runs a relay's Watch over an application until the test ends, or stop.
func start(t *testing.T, a *app, dsn, keyset string, round time.Duration) *relay {
	t.Helper()
	if dsn == "" {
		dsn = "sqlite:" + filepath.Join(t.TempDir(), "relay.db")
	}
	if keyset == "" {
		keyset = filepath.Join(t.TempDir(), "keyset.json")
	}
	ctx := context.Background()
	log := zap.NewNop()
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	must(t, err)
	keys, err := vault.Open(keyset)
	must(t, err)
	r := &relay{t: t, store: db}
	var keeper *session.Keeper
	public := &url.URL{Scheme: "https", Host: "relay.example.com"}
	r.registry = registry.New(registry.Options{Store: db, Vault: keys, Events: &event.Bus{}, PublicURL: public, RelayID: store.NewID("rly"),
		Presence: r, Clock: time.Now, Log: log,
		DropSession: func(ctx context.Context, d session.Dropped) error { return keeper.Drop(ctx, d) }})
	must(t, r.registry.Begin(ctx))
	keeper = session.NewKeeper(session.Options{Store: r.registry, NewID: func() string { return store.NewID("ses") }, Clock: time.Now, Log: log})
	prober := probe.New(probe.Options{Roads: a, Sessions: keeper, Presence: r, Clock: time.Now, Log: log})
	courier := &Courier{Road: a, PublicURL: public, Clock: time.Now}
	r.watch = New(Options{Store: db, Connections: r.registry, Prober: prober, Presence: r, Courier: courier, Events: r.registry.Events,
		RequestID: func() string { return "req" }, Clock: time.Now, Log: log})
	r.admin = account.Actor{WorkspaceID: db.DefaultWorkspaceID(), Kind: "user", ID: "usr_1", Name: "Ada", Role: account.Admin}

	r.watch.round = round

	run, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); r.watch.Run(run) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			<-ended
			keeper.Close()
			must(t, db.Close())
		})
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var theSecrets = map[string]string{"password": "correct horse", "hook": "t0p-secret", "sign": "whsec_c2lnbmluZyBrZXk="}

func spec(change func(*connection.Spec)) connection.Spec {
	s := connection.Spec{
		Name: "Plant 2 ERP", Mode: connection.Cloud, BaseURI: "https://erp.example.com/api", MediaType: connection.JSON,
		Auth:   connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session", Body: `{"password":"{{secret.password}}"}`}},
		Ping:   connection.Ping{Method: "GET", URI: "/me", SuccessPath: "ok"},
		Health: &connection.Health{Webhook: "https://hooks.example.com/hook/{{secret.hook}}", WebhookSecret: "sign"},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func secretsOf(all map[string]string) map[string]*string {
	out := map[string]*string{}
	for name, value := range all {
		out[name] = &value
	}
	return out
}

func (r *relay) save(s connection.Spec) string {
	r.t.Helper()
	c, _, err := r.registry.CreateConnection(context.Background(), r.admin, s, secretsOf(theSecrets))
	must(r.t, err)
	return c.ID
}

func (r *relay) report(id string) Report {
	r.t.Helper()
	report, err := r.watch.Report(context.Background(), r.admin, id, MaxResults)
	must(r.t, err)
	return report
}
