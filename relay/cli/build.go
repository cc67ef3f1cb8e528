package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"sallyport/internal/buildinfo"
	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/api"
	"sallyport/relay/authorize"
	"sallyport/relay/config"
	"sallyport/relay/download"
	"sallyport/relay/edge"
	"sallyport/relay/event"
	"sallyport/relay/gateway"
	"sallyport/relay/hub"
	"sallyport/relay/peer"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/road"
	"sallyport/relay/session"
	"sallyport/relay/store"
	"sallyport/relay/web"
)

// relay is the rooms of one relay, put together.
type relay struct {
	store    *store.Store
	accounts *account.Accounts
	browser  *account.Browser
	hub      *hub.Hub
	peers    *peer.Peers // nil: there is no peer-listen
	shelf    *download.Shelf
	figures  *prometheus.Registry

	handler     http.Handler  // the main listener's
	metricsOnly http.Handler  // that of metrics-listen
	leaving     atomic.Bool   // not to be sent any more requests, which are still served
	closing     chan struct{} // closed when what would last for ever has to end

	closers []func() error // in the order in which the rooms were opened
}

// build opens the rooms in the order in which they need each other. Where one
// can't be opened, those before it are closed again.
func build(ctx context.Context, c *config.Config, at listeners, log *zap.Logger) (_ *relay, err error) {
	public := c.PublicURLFor(at.main.Addr())
	r := &relay{closing: make(chan struct{}), figures: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	r.figures.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	exceptions, err := outbound.ParseAllow(c.AllowPrivate)
	if err != nil {
		return nil, fmt.Errorf("allow-private-targets: %w", err)
	}
	if err := openData(c.Data); err != nil {
		return nil, err
	}
	if err := r.claimPlace(c, log); err != nil {
		return nil, err
	}
	id, err := relayID(c.Data)
	if err != nil {
		return nil, err
	}
	if r.store, err = openStore(ctx, c, log.Named("store")); err != nil {
		return nil, err
	}
	r.closeLater(r.store.Close)
	vault, err := openVault(ctx, c, r.store)
	if err != nil {
		return nil, err
	}
	r.accounts = account.New(account.Options{Store: r.store, Clock: time.Now, Log: log.Named("account")})
	r.browser = account.NewBrowser(account.BrowserOptions{Accounts: r.accounts, Store: r.store, Secure: public.Scheme == "https"})

	r.shelf = download.New(download.Options{Dir: cmp.Or(c.Downloads, download.Find(c.Data)), PublicURL: public, Log: log.Named("download")})
	events := &event.Bus{}
	// The registry asks hub and sessions, and is asked by both: it comes first
	// and is told of them below, before anything is served.
	var sessions *session.Keeper
	reg := registry.New(registry.Options{
		Store: r.store, Vault: vault, Events: events,
		Presence:   registry.PresenceFunc(func(agentID string) []hub.Instance { return r.hub.Instances(agentID) }),
		Disconnect: func(agentID, instanceID, reason string) { r.everywhere().Disconnect(agentID, instanceID, reason) },
		Elsewhere: func(ctx context.Context, agentIDs []string) map[string][]hub.Instance {
			if r.peers == nil {
				return nil
			}
			return r.peers.Elsewhere(ctx, agentIDs)
		},
		DropSession: func(ctx context.Context, d session.Dropped) error {
			return sessions.Drop(ctx, d)
		},
		Installable: func() registry.Installable { return registry.Installable(r.shelf.Systems()) },
		PublicURL:   public, RelayID: id, PeerAddress: at.peerAddress(c), Clock: time.Now, Log: log.Named("registry"),
	})
	alive, err := r.store.LastAlive(ctx) // before this one is
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := reg.Begin(ctx); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	r.closeLater(func() error { return leave(reg) })
	r.background(reg.Attend)
	r.background(reg.SweepResults)
	hubOptions := hub.Options{
		Directory: reg, Events: events, Log: log.Named("hub"), Clock: time.Now,
		RelayID: id, PublicURL: public, Registerer: r.figures, AgentWait: c.AgentWait, LastAlive: alive,
		ConnectsPerAddress: c.ConnectsPerAddress,
	}
	if at.peers != nil {
		r.peers, err = peer.New(ctx, peer.Options{Roll: reg, RelayID: id, Events: events, Clock: time.Now, Log: log.Named("peer"), Registerer: r.figures})
		if err != nil {
			return nil, fmt.Errorf("peer-listen: %w", err)
		}
		hubOptions.Elsewhere = r.peers
	}
	r.hub = hub.New(hubOptions)
	r.closeLater(r.hub.Close)
	if at.peers != nil {
		r.peers.Serve(at.peers, r.hub)
		r.closeLater(r.peers.Close)
	}

	cloud := outbound.New(outbound.Options{Guard: true, AllowPrivate: exceptions, Log: log.Named("outbound")})
	r.closeLater(func() error { cloud.Close(); return nil })
	roads := road.New(cloud, r.hub)
	sessions = session.NewKeeper(session.Options{
		Store: reg, Roads: roads, Changed: func(workspaceID, connectionID string) {
			events.Publish(event.Event{WorkspaceID: workspaceID, Type: event.ConnectionChanged, ID: connectionID})
		},
		NewID: func() string { return store.NewID("ses") }, Clock: time.Now, Log: log.Named("session"),
	})
	r.closeLater(func() error { sessions.Close(); return nil })
	prober := probe.New(probe.Options{Roads: roads, Sessions: sessions, Presence: r.everywhere(), Clock: time.Now, Log: log.Named("probe")})
	passage := gateway.New(gateway.Options{Roads: roads, Sessions: sessions, Clock: time.Now, Log: log.Named("gateway"), Registerer: r.figures, MaxBody: c.MaxRequestBody, Results: reg})
	watch := newWatch(c, watchParts{store: r.store, registry: reg, prober: prober, hub: r.hub, cloud: cloud, events: events, public: public, figures: r.figures, log: log.Named("health")})
	r.background(watch.Run)

	door := api.New(api.Options{
		Callers: r.browser, Accounts: r.accounts, Registry: reg, Prober: prober, Gateway: passage, Sessions: sessions, Watch: watch, Journal: passage.Journal(),
		Events: events, Logs: r.everywhere(), PublicURL: public, Version: buildinfo.Version(), Log: log.Named("api"), Closing: r.closing,
	})
	pages, err := web.New(web.Options{
		Accounts: r.accounts, Browser: r.browser, Registry: reg, Prober: prober, Gateway: passage, Sessions: sessions, Watch: watch, Journal: passage.Journal(),
		Authorizer: authorize.New(authorize.Options{Connections: reg, Sessions: sessions, Roads: roads, Sealer: vault, PublicURL: public, Clock: time.Now}),
		PublicURL:  public, Clock: time.Now, Log: log.Named("web"),
	})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	r.metricsOnly = onlyMetrics(r.metrics(true))
	r.handler, err = edge.Wrap(r.doors(door, pages, c.LoopbackOnly() && c.MetricsListen == ""), edge.Options{
		Log: log.Named("http"), Clock: time.Now, TrustProxies: c.TrustProxies, HTTPS: public.Scheme == "https",
		Origins: []string{public.String()}, Refused: http.HandlerFunc(api.RefuseCrossOrigin), Quiet: quiet, LoggedPath: loggedPath,
		MaxHeader: headerBytes, TooLarge: http.HandlerFunc(api.RefuseHeader),
	})
	return r, err
}

// everywhere is where agents are found: at all relays, or at this one where it
// can't ask others.
func (r *relay) everywhere() interface {
	Instances(agentID string) []hub.Instance
	Disconnect(agentID, instanceID, reason string)
	FollowLogs(agentID, instanceID, level string) *hub.LogReader
} {
	if r.peers != nil {
		return r.peers
	}
	return r.hub
}

// doors sends a request to the door that its path belongs to. It goes by the
// path as it was sent: the standard mux would tidy up a path that an
// application is meant to see as it is.
func (r *relay) doors(api, pages http.Handler, openMetrics bool) http.Handler {
	metrics := r.metrics(openMetrics)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch path := req.URL.Path; {
		case path == proto.TunnelPath:
			r.hub.ServeHTTP(w, req)
		case path == "/api", strings.HasPrefix(path, "/api/"), path == "/openapi.json", path == "/docs", strings.HasPrefix(path, "/docs/"):
			api.ServeHTTP(w, req)
		case download.Serves(path):
			r.shelf.ServeHTTP(w, req)
		case path == "/healthz":
			healthz(w, req)
		case path == "/readyz":
			r.readyz(w, req)
		case path == "/metrics":
			metrics.ServeHTTP(w, req)
		default:
			pages.ServeHTTP(w, req)
		}
	})
}

func onlyMetrics(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", healthz)
	return mux
}

// quiet are the requests that machines make all day.
func quiet(req *http.Request) bool {
	return req.URL.Path == "/healthz" || req.URL.Path == "/readyz" || req.URL.Path == "/metrics"
}

// loggedPath leaves out the token of a sign-in link.
func loggedPath(path string) string {
	if strings.HasPrefix(path, account.LinkPath) {
		return account.LinkPath + "…"
	}
	return path
}

// firstStart does what the first start needs. It returns the path of a sign-in
// link, or "".
func (r *relay) firstStart(ctx context.Context, c *config.Config) (string, error) {
	path, err := r.accounts.Bootstrap(ctx, c.BootstrapToken)
	if err != nil {
		return "", fmt.Errorf("first start: %w", inWords(err))
	}
	return path, nil
}

// welcome says where the relay is. The sign-in link goes to the standard output
// alone: a log is kept, and read by more people than should use the link.
func welcome(out io.Writer, public *url.URL, link string) {
	fmt.Fprintf(out, "Sallyport is running at %s\n", public)
	if link != "" {
		fmt.Fprintf(out, "\nTo sign in for the first time, open this link. It works once:\n\n  %s%s\n\n", public, link)
	}
}

// stopping ends what would otherwise last: event streams.
func (r *relay) stopping() { close(r.closing) }

// leaveTime bounds the last word of a relay to a database that may be gone.
const leaveTime = 5 * time.Second

// leave tells the other relays that this one has stopped.
func leave(reg *registry.Registry) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	return reg.Leave(ctx)
}

// background runs work until the relay is closed.
func (r *relay) background(work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); work(ctx) }()
	r.closeLater(func() error { cancel(); <-ended; return nil })
}

func (r *relay) closeLater(f func() error) { r.closers = append(r.closers, f) }

// close closes the rooms, the last one opened first.
func (r *relay) close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
}
