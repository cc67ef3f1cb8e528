package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
)

// Connections opens saved connections, for the relay itself.
// *registry.Registry implements it.
type Connections interface {
	Resolve(ctx context.Context, actor account.Actor, id string) (*connection.Connection, error)
	// Run is this relay's run, and Others those of relays that share the store.
	Run() store.Run
	Others() []store.Run
}

// Prober pings. *probe.Prober implements it.
type Prober interface {
	Check(ctx context.Context, c *connection.Connection, requestID string) probe.Check
}

// Presence knows which machines of an agent hold tunnels to this relay. *hub.Hub
// implements it.
type Presence interface {
	Instances(agentID string) []hub.Instance
}

// Options of a Watch. All but Registerer are required.
type Options struct {
	Store       *store.Store
	Connections Connections
	Prober      Prober
	Presence    Presence
	Courier     *Courier
	Events      *event.Bus
	RequestID   func() string
	Clock       func() time.Time
	Log         *zap.Logger
	Registerer  prometheus.Registerer // nil: no metrics
}

// Watch pings connections and tells of changes. It is safe for concurrent use.
type Watch struct {
	Options
	metrics *metrics
	round   time.Duration // how often the store is asked what is due
	wake    chan struct{} // there are notices to deliver
	work    sync.WaitGroup
	pinging chan struct{} // a place for each ping under way
	telling chan struct{} // and for each notice
	tests   *throttle.Throttle
}

const (
	// roundEvery is how often the store is asked what is due.
	roundEvery = time.Second
	// atOnce is how many pings of one relay are under way at most: they must not
	// crowd out what people wait for.
	atOnce = 16
	// leaseFor is how long whoever claimed a ping has for it. It is longer than
	// the longest: two pings, two sign-ins, and waiting for the agent.
	leaseFor = 4 * time.Minute
	// checkFor bounds one ping, so that it ends before its lease.
	checkFor = 3*time.Minute + 30*time.Second
	// firstPause lies between the first pings of connections that were never
	// pinged, of which there may be thousands after an upgrade.
	firstPause = 60 * time.Millisecond
	// adoptedAtOnce bounds how long one statement keeps the store busy.
	adoptedAtOnce = 5000
	// elsewhereAfter is when a ping is due again that another relay is to send.
	elsewhereAfter = 2 * time.Second
	// storeTimeout bounds what has to be written although the relay stops.
	storeTimeout = 10 * time.Second
)

// New makes a Watch; Run it.
func New(o Options) *Watch {
	w := &Watch{Options: o, round: roundEvery, wake: make(chan struct{}, 1), pinging: make(chan struct{}, atOnce), telling: make(chan struct{}, tellAtOnce),
		tests: throttle.New(throttle.Options{Burst: testNotices, Every: testNoticeEvery, Clock: o.Clock})}
	w.metrics = newMetrics(o.Registerer, w)
	return w
}

// Run watches until ctx ends, and waits then for what is under way.
func (w *Watch) Run(ctx context.Context) {
	defer w.work.Wait()
	w.work.Go(func() { w.deliver(ctx) })
	if err := w.adopt(ctx); err != nil && ctx.Err() == nil {
		w.Log.Error("connections can't be scheduled for their first ping", zap.Error(err))
	}
	ticker := time.NewTicker(w.round)
	defer ticker.Stop()
	for {
		if err := w.ping(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("pings that are due can't be found", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// adopt schedules connections that were there before this room was.
func (w *Watch) adopt(ctx context.Context) error {
	from := w.Clock().Add(confirmAfter) // the agents come first
	for {
		n, err := w.Store.AdoptHealth(ctx, from, firstPause, adoptedAtOnce)
		if err != nil || n < adoptedAtOnce {
			return err
		}
		from = from.Add(time.Duration(n) * firstPause)
	}
}

// ping begins the pings that are due, as far as there are places.
func (w *Watch) ping(ctx context.Context) error {
	free := cap(w.pinging) - len(w.pinging)
	if free == 0 {
		return nil
	}
	claimed, err := w.Store.ClaimHealth(ctx, w.claim(leaseFor, free))
	if err != nil {
		return err
	}
	for _, one := range claimed {
		w.pinging <- struct{}{} // only this goroutine takes places
		w.work.Go(func() {
			defer func() { <-w.pinging }()
			w.check(ctx, one)
		})
	}
	return nil
}

func (w *Watch) claim(lasting time.Duration, limit int) store.Claim {
	now := w.Clock()
	return store.Claim{Lease: store.NewID("lea"), Now: now, Until: now.Add(lasting), Limit: limit,
		Run: w.Connections.Run(), Others: w.Connections.Others()}
}

// check pings one connection and writes down what it found.
func (w *Watch) check(running context.Context, claimed store.ClaimedHealth) {
	ctx, cancel := context.WithTimeout(running, checkFor)
	defer cancel()
	log := w.Log.With(zap.String("connection", claimed.ConnectionID))
	c, row, err := w.open(ctx, claimed.WorkspaceID, claimed.ConnectionID)
	if err != nil {
		if e := proto.AsError(err); e == nil || e.Code != proto.CodeNotFound {
			log.Error("connection can't be pinged", zap.Error(err))
		}
		w.release(ctx, claimed, w.Clock().Add(time.Minute)) // a row that is gone needs no release
		return
	}
	every := c.HealthEvery()
	if every == 0 {
		w.settleOff(ctx, claimed)
		return
	}
	if c.Mode == connection.OnPremise && len(w.Presence.Instances(c.AgentID)) == 0 && w.elsewhere(ctx, c) {
		w.release(ctx, claimed, w.Clock().Add(elsewhereAfter))
		return
	}
	began := w.Clock()
	found := w.Prober.Check(ctx, c, w.RequestID())
	if running.Err() != nil && !found.OK { // the relay stops: it is another's, or the next run's
		w.release(ctx, claimed, w.Clock())
		return
	}
	w.metrics.checked(stateOf(found), w.Clock().Sub(began))
	w.settle(running, claimed, c, row, found) // which may still have time
}

// open is a connection with its secrets, and its row.
func (w *Watch) open(ctx context.Context, workspaceID, id string) (*connection.Connection, store.Connection, error) {
	row, err := w.Store.Workspace(workspaceID).Connection(ctx, id)
	if err != nil {
		return nil, row, err
	}
	c, err := w.Connections.Resolve(ctx, watcher(workspaceID), id)
	return c, row, err
}

// watcher is the actor in whose name connections are opened.
func watcher(workspaceID string) account.Actor {
	return account.Actor{WorkspaceID: workspaceID, Kind: "system", ID: "health", Name: "health", Role: account.Editor}
}

// elsewhere reports whether a living relay other than this one says that it
// holds tunnels of the connection's agent.
func (w *Watch) elsewhere(ctx context.Context, c *connection.Connection) bool {
	present, err := w.Store.Workspace(c.WorkspaceID).Present(ctx, []string{c.AgentID}, w.Connections.Others())
	return err == nil && len(present) > 0
}

func (w *Watch) release(ctx context.Context, claimed store.ClaimedHealth, at time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := w.Store.ReleaseHealth(ctx, claimed, at); err != nil {
		w.Log.Warn("a ping can't be given back", zap.String("connection", claimed.ConnectionID), zap.Error(err))
	}
}

// machinesOf are the machines of an agent that are connected, with the versions
// of their agents.
func (w *Watch) machinesOf(c *connection.Connection) map[string]string {
	if c.Mode != connection.OnPremise {
		return nil
	}
	machines := map[string]string{}
	for _, in := range w.Presence.Instances(c.AgentID) {
		host := in.Hostname
		if host == "" {
			host = in.ID
		}
		machines[host] = in.Version
	}
	return machines
}

func jitter() float64 { return rand.Float64() }
