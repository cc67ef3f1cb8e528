package web_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"sallyport/internal/outbound"
	"sallyport/relay/account"
	"sallyport/relay/api"
	"sallyport/relay/authorize"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/gateway"
	"sallyport/relay/health"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/road"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/vault"
	"sallyport/relay/web"
)

// rig is a relay's pages over real rooms: a SQLite store, sessions, the cloud
// road. Only agents are not real: presence says which machines are online.
type rig struct {
	t        *testing.T
	url      string
	pages    http.Handler
	accounts *account.Accounts
	registry *registry.Registry
	store    *store.Store
	watch    *health.Watch
	events   *event.Bus
	admin    account.Actor
	signIn   string // path of a fresh sign-in link

	mu       sync.Mutex // guards presence
	presence map[string][]hub.Instance
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx := context.Background()
	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	dir := t.TempDir()
	db, err := store.Open(ctx, store.Options{DSN: "sqlite:" + filepath.Join(dir, "relay.db"), Log: log})
	must(t, err)
	keys, err := vault.Open(filepath.Join(dir, "keyset.json"))
	must(t, err)

	r := &rig{t: t, events: &event.Bus{}, presence: map[string][]hub.Instance{}}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	r.url = server.URL
	public, err := url.Parse(server.URL)
	must(t, err)

	r.accounts = account.New(account.Options{Store: db, Clock: time.Now, Log: log})
	r.signIn, err = r.accounts.Bootstrap(ctx, "")
	must(t, err)
	var keeper *session.Keeper
	r.registry = registry.New(registry.Options{Store: db, Vault: keys, Events: r.events, PublicURL: public, RelayID: "test",
		Installable: func() registry.Installable { return registry.Installable{Linux: true, Windows: true, Docker: true} },
		Presence:    registry.PresenceFunc(r.instances), Clock: time.Now, Log: log,
		DropSession: func(ctx context.Context, d session.Dropped) error {
			return keeper.Drop(ctx, d)
		}})
	allow, err := outbound.ParseAllow([]string{"loopback"})
	must(t, err)
	cloud := outbound.New(outbound.Options{Guard: true, AllowPrivate: allow, Log: log})
	roads := road.New(cloud, near{cloud})
	keeper = session.NewKeeper(session.Options{Store: r.registry, Roads: roads, Changed: func(workspaceID, connectionID string) {
		r.events.Publish(event.Event{WorkspaceID: workspaceID, Type: event.ConnectionChanged, ID: connectionID})
	}, NewID: func() string { return store.NewID("ses") }, Clock: time.Now, Log: log})
	browser := account.NewBrowser(account.BrowserOptions{Accounts: r.accounts, Store: db})
	prober := probe.New(probe.Options{Roads: roads, Sessions: keeper, Presence: registry.PresenceFunc(r.instances), Clock: time.Now, Log: log})
	sender := gateway.New(gateway.Options{Roads: roads, Sessions: keeper, Clock: time.Now, Log: log, Results: r.registry})
	r.watch = health.New(health.Options{Store: db, Connections: r.registry, Prober: prober, Presence: registry.PresenceFunc(r.instances), Events: r.events,
		Courier:   &health.Courier{Road: cloud, PublicURL: public, Clock: time.Now},
		RequestID: func() string { return "ping" }, Clock: time.Now, Log: log})
	r.store = db
	r.pages, err = web.New(web.Options{
		Watch: r.watch, Journal: sender.Journal(),
		Accounts: r.accounts, Browser: browser, Registry: r.registry, Sessions: keeper,
		Prober: prober, Gateway: sender,
		Authorizer: authorize.New(authorize.Options{Connections: r.registry, Sessions: keeper, Roads: roads, Sealer: keys, PublicURL: public, Clock: time.Now}),
		PublicURL:  public, Clock: time.Now, Log: log,
	})
	must(t, err)
	mux.Handle("/", r.pages)
	closing := make(chan struct{})
	mux.Handle(api.Prefix+"/", api.New(api.Options{Callers: browser, Accounts: r.accounts, Registry: r.registry, Prober: prober, Gateway: sender,
		Sessions: keeper, Watch: r.watch, Journal: sender.Journal(), Events: r.events, PublicURL: public, Log: log, Closing: closing}))
	t.Cleanup(func() {
		close(closing)
		server.CloseClientConnections()
		server.Close()
		keeper.Close()
		cloud.Close()
		must(t, db.Close())
	})
	r.admin = r.accounts.System("test")
	return r
}

// near are agents' roads that lead where the relay's own does.
type near struct{ rt http.RoundTripper }

func (n near) Road(string) http.RoundTripper { return n.rt }

func (r *rig) instances(agentID string) []hub.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.presence[agentID]
}

// connect makes a machine of the agent appear as online.
func (r *rig) connect(agentID string, in hub.Instance) {
	r.mu.Lock()
	r.presence[agentID] = append(r.presence[agentID], in)
	r.mu.Unlock()
	r.events.Publish(event.Event{WorkspaceID: r.admin.WorkspaceID, Type: event.AgentChanged, ID: agentID})
}

// agent adds an agent, with machines enrolled by real codes.
func (r *rig) agent(name string, hostnames ...string) (registry.Agent, []registry.Enrolled) {
	r.t.Helper()
	ctx := context.Background()
	agent, err := r.registry.CreateAgent(ctx, r.admin, name)
	must(r.t, err)
	var machines []registry.Enrolled
	for _, host := range hostnames {
		code, err := r.registry.CreateEnrolment(ctx, r.admin, agent.ID)
		must(r.t, err)
		machines = append(machines, r.enrol(code.Code, host))
	}
	return agent, machines
}

func (r *rig) enrol(code, host string) registry.Enrolled {
	r.t.Helper()
	key, _, err := ed25519.GenerateKey(nil)
	must(r.t, err)
	enrolled, err := r.registry.Enrol(context.Background(), registry.EnrolRequest{Code: code, PublicKey: key, Hostname: host, OS: "linux", Arch: "amd64", Version: "0.1.0", Address: "192.0.2.1:1"})
	must(r.t, err)
	return enrolled
}

var allAgents = registry.Page{Limit: 500}

// warehouse is an application with a cookie sign-in.
func warehouse(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/session", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"p\"ss word"`) {
			fmt.Fprint(w, "Fails.")
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss10n", Path: "/"})
		fmt.Fprint(w, `{"welcome": true}`)
	})
	mux.HandleFunc("/api/me", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("SID"); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		fmt.Fprint(w, `{"data": {"ok": true, "user": "svc", "roles": ["read", "write"]}, "quota": 12.50}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// spec is a connection to the warehouse whose test passes with the password
// p"ss word.
func spec(base string) connection.Spec {
	return connection.Spec{
		Name: "Warehouse", Mode: connection.Cloud, BaseURI: base + "/api", MediaType: connection.JSON,
		Auth: connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST", URI: "/session", Body: `{"password": "{{secret.password}}"}`}},
		Ping: connection.Ping{Method: "GET", URI: "/me", SuccessPath: "data.ok", SuccessValues: []string{"true"}},
	}
}

const password = `p"ss word`

func (r *rig) connection(s connection.Spec) registry.Connection {
	r.t.Helper()
	secret := password
	c, _, err := r.registry.CreateConnection(context.Background(), r.admin, s, map[string]*string{"password": &secret})
	must(r.t, err)
	return c
}

// client is a browser without scripts that is signed in.
func (r *rig) client() *client {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	must(r.t, err)
	c := &client{t: r.t, base: r.url, http: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	path, err := r.accounts.NewSignInLink(context.Background(), time.Hour)
	must(r.t, err)
	if a := c.post(path, nil); a.status != http.StatusSeeOther {
		r.t.Fatalf("sign in by link: %d", a.status)
	}
	return c
}

type client struct {
	t    *testing.T
	base string
	http *http.Client
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) get(path string) answer { return c.do(http.MethodGet, path, nil, "") }

func (c *client) post(path string, form url.Values) answer {
	return c.do(http.MethodPost, path, form, "")
}

func (c *client) do(method, path string, form url.Values, accept string) answer {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(form.Encode()))
	must(c.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := c.http.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// contains checks for each of the texts.
func (a answer) contains(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}
