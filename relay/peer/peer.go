// Package peer reaches agents whose tunnels another relay holds. Relays that
// share a database and stand behind one balancer each get requests for agents
// that are connected to another one of them; by way of this package they send
// them on.
//
// Each relay that takes part listens on a port for the others alone, and says in
// the store where that is. Each keeps one connection to every other relay that
// lives: HTTP/2 over TLS 1.3, on which both ends show a certificate. There is
// nobody to hand those out: the first relay makes an authority, which is kept
// sealed in the store, and each relay issues itself a certificate for a day, with
// its own id in it. A connection is made to the relay of a certain id, and is none
// if the certificate says another.
//
// A request travels as one stream: POST /v1/request, with what it is in fields
// that begin with Sallyport-Peer-, and its body as it is; see wire.go. The other
// relay sends it down a tunnel of its own and never on to a third one, so that no
// request goes in circles. Where it holds no tunnel of the agent any more it says
// so at once, and the first relay looks again.
//
// Over a stream of its own, GET /v1/link, the listening end tells of agents that have
// come, so that whoever waits for one elsewhere is served at once, of events for who
// watches elsewhere, and that it is about to stop. It is the dialling end that closes
// then, once its last request is answered: so none is on its way to a relay that is
// no longer there.
//
// Package hub asks for a way to an agent that holds no tunnel here, by its
// interface Elsewhere; package registry knows who holds whom, by Roll.
package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/relay/event"
	"sallyport/relay/hub"
)

// Relay is another relay that shares the store.
type Relay struct {
	ID      string
	Epoch   int64  // of its run
	Address string // at which it takes requests of other relays; "": it takes none
}

// Holding says that another relay holds a machine of an agent.
type Holding struct {
	Relay    Relay
	AgentID  string
	Counter  int64 // grows with what the run says of machines
	Silent   bool  // the relay has not said for a while that it lives
	Instance hub.Instance
}

// Roll knows which relays there are, and who holds whom. Package registry
// implements it.
type Roll interface {
	// Peers are the other relays that live, as was known last.
	Peers() []Relay
	// Holdings are what other relays, if they have not stopped, say of the machines
	// of some agents.
	Holdings(ctx context.Context, agentIDs []string) ([]Holding, error)
	// PeerAuthority is what the relays keep in common and sealed. fresh makes it,
	// where there is none yet.
	PeerAuthority(ctx context.Context, fresh func() ([]byte, error)) ([]byte, error)
}

// Options of Peers. Roll, RelayID and Log are required.
type Options struct {
	Roll    Roll
	RelayID string
	Clock   func() time.Time
	Log     *zap.Logger
	// Events are carried to the other relays, and theirs to it. nil: none are.
	Events *event.Bus
	// Registerer takes the metrics; nil: none are kept.
	Registerer prometheus.Registerer
	// Silence is how long a connection may be silent before the other end is
	// asked for a sign of life, and how long that may then take. Default 3 s, so
	// that a relay that is gone without a word is noticed within 6.
	Silence time.Duration
	// RedialLimit is the longest that it is waited before a relay is dialled again.
	// Default 5 s.
	RedialLimit time.Duration
	// Attend is how often the roll is looked at for relays that have come or gone.
	// Default 1 s.
	Attend time.Duration
}

// Peers is this relay's part among the relays. Make it with New, before the hub;
// Serve begins, Leave ends what others send, and Close everything.
type Peers struct {
	opts    Options
	log     *zap.Logger
	papers  *papers
	metrics *metrics
	lookups lookups

	life context.Context // ends with Close
	end  context.CancelFunc
	work sync.WaitGroup // every goroutine

	hub     *hub.Hub // set by Serve, before anybody asks
	server  *http.Server
	leaving atomic.Bool
	callers callers // relays that are connected to this one
	// underWay counts the requests on all links, those that retire among them.
	underWay atomic.Int64
	serving  sync.WaitGroup

	mu     sync.Mutex       // guards the following
	links  map[string]*link // by relay id
	closed bool
}

var _ hub.Elsewhere = (*Peers)(nil)

// New opens the relays' authority, or makes it where this is the first relay.
func New(ctx context.Context, opts Options) (*Peers, error) {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Silence == 0 {
		opts.Silence = 3 * time.Second
	}
	if opts.RedialLimit == 0 {
		opts.RedialLimit = 5 * time.Second
	}
	if opts.Attend == 0 {
		opts.Attend = time.Second
	}
	kept, err := opts.Roll.PeerAuthority(ctx, func() ([]byte, error) { return newAuthority(opts.Clock()) })
	if err != nil {
		return nil, err
	}
	a, err := openAuthority(kept)
	if err != nil {
		return nil, err
	}
	p := &Peers{
		opts: opts, log: opts.Log,
		papers: &papers{authority: a, relayID: opts.RelayID, clock: opts.Clock},
		links:  make(map[string]*link),
	}
	if _, err := p.papers.own(); err != nil {
		return nil, err
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.metrics = newMetrics(opts.Registerer, p)
	return p, nil
}

// Serve takes requests of other relays from l, for the agents of h, and keeps
// connections to the others, until Close.
func (p *Peers) Serve(l net.Listener, h *hub.Hub) {
	p.hub = h
	p.server = p.newServer()
	if p.opts.Events != nil {
		p.opts.Events.Also(func(e event.Event) {
			p.callers.tell(notice{Event: &news{WorkspaceID: e.WorkspaceID, Type: e.Type, ID: e.ID}})
		})
	}
	p.work.Go(func() {
		if err := p.server.ServeTLS(l, "", ""); err != nil && p.life.Err() == nil {
			p.log.Error("requests of other relays can't be taken", zap.Error(err))
		}
	})
	p.work.Go(p.attend)
}

// attend keeps a connection to each relay that lives.
func (p *Peers) attend() {
	ticker := time.NewTicker(p.opts.Attend)
	defer ticker.Stop()
	for {
		p.meet(p.opts.Roll.Peers())
		p.renew()
		select {
		case <-p.life.Done():
			return
		case <-ticker.C:
		}
	}
}

// strangerFor is how long a relay is believed that was found with an agent and
// is not on the roll yet.
const strangerFor = 30 * time.Second

// meet takes in which relays live.
func (p *Peers) meet(living []Relay) {
	there := make(map[string]bool, len(living))
	for _, r := range living {
		there[r.ID] = true
		p.linkTo(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.links {
		// Who answers on a connection lives, whatever has come of the store.
		if !there[id] && !l.up() && p.opts.Clock().Sub(l.made).Abs() > strangerFor {
			l.drop()
			delete(p.links, id)
		}
	}
}

// linkTo is the connection to a relay, begun where there is none; nil: it takes
// no requests of other relays, or a later run of it is known.
func (p *Peers) linkTo(r Relay) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[r.ID]
	switch {
	case l != nil && l.relay == r:
		return l
	case p.closed, l != nil && l.relay.Epoch > r.Epoch:
		return nil
	}
	if l != nil {
		l.retire()
		if l.next != nil {
			l.next.end()
		}
		delete(p.links, r.ID)
	}
	if r.Address == "" {
		return nil
	}
	l = newLink(p, r)
	p.links[r.ID] = l
	p.work.Go(l.run)
	return l
}

// believed leaves out what silent relays hold, but for those that this one is
// connected to: it is the store that they could not speak to.
func (p *Peers) believed(held []Holding) []Holding {
	return slices.DeleteFunc(held, func(h Holding) bool {
		if !h.Silent {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		l := p.links[h.Relay.ID]
		return l == nil || l.relay != h.Relay || !l.up()
	})
}

// connected lists the links that are up.
func (p *Peers) connected() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		if l.up() {
			up = append(up, l)
		}
	}
	return up
}

// Others implements hub.Elsewhere.
func (p *Peers) Others() bool { return len(p.connected()) > 0 }

// Leave takes no more requests of other relays, tells them so, and waits until
// each has got its last answer and has closed.
func (p *Peers) Leave(ctx context.Context) error {
	p.leaving.Store(true)
	p.callers.tell(notice{Leaving: true})
	if err := p.callers.gone(ctx); err != nil {
		return fmt.Errorf("other relays still wait for answers: %w", err)
	}
	return nil
}

// Close ends all that is left, at once.
func (p *Peers) Close() error {
	if p.opts.Events != nil {
		p.opts.Events.Also(nil)
	}
	p.mu.Lock()
	p.closed = true
	for _, l := range p.links {
		l.end()
	}
	p.mu.Unlock()
	p.end()
	var err error
	if p.server != nil {
		err = p.server.Close()
	}
	p.work.Wait()
	p.serving.Wait()
	p.metrics.unregister()
	return err
}
