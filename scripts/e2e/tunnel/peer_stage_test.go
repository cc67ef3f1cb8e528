package tunnel

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/testkit"
	"sallyport/relay/hub"
	"sallyport/relay/peer"
)

// roll is what relays know of each other, kept in memory in the place of their
// database.
type roll struct {
	mu        sync.Mutex // guards the following
	authority []byte
	relays    map[string]peer.Relay // that live, by id
	hubs      map[string]*hub.Hub
	claimed   map[string][]peer.Holding // by relay: what it is said to hold, whatever it does
	silent    map[string]bool           // relays that have not said for a while that they live
	counter   int64
	away      error // what the database answers
	hangs     bool  // the database does not answer
}

// member is one relay's view of the roll.
type member struct {
	*roll
	id string
}

func (m member) Peers() (others []peer.Relay) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.relays {
		if id != m.id && !m.silent[id] {
			others = append(others, r)
		}
	}
	return others
}

func (m member) Holdings(ctx context.Context, agentIDs []string) (all []peer.Holding, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hangs {
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return nil, ctx.Err()
	}
	m.counter++
	for id, h := range m.hubs {
		for _, agentID := range agentIDs {
			if id == m.id {
				continue
			}
			for _, in := range h.Instances(agentID) {
				all = append(all, peer.Holding{Relay: m.relays[id], AgentID: agentID, Counter: m.counter, Silent: m.silent[id], Instance: in})
			}
		}
	}
	for id, said := range m.claimed {
		if id != m.id {
			all = append(all, said...)
		}
	}
	return all, m.away
}

func (m member) PeerAuthority(_ context.Context, fresh func() ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if m.authority == nil {
		m.authority, err = fresh()
	}
	return m.authority, err
}

// peering is a relay's part among others.
type peering struct {
	roll     *roll
	id       string
	epoch    int64
	clock    func() time.Time                 // nil: the machine's
	between  func(address string) (at string) // what others dial in its place; nil: itself
	redial   time.Duration                    // peer.Options.RedialLimit
	peers    *peer.Peers
	listener net.Listener
	figures  *prometheus.Registry
}

func newRoll() *roll {
	return &roll{relays: map[string]peer.Relay{}, hubs: map[string]*hub.Hub{}, claimed: map[string][]peer.Holding{}, silent: map[string]bool{}}
}

func (p *peering) join(r *relay, opts *hub.Options) {
	r.t.Helper()
	p.figures = prometheus.NewRegistry()
	peers, err := peer.New(r.t.Context(), peer.Options{Roll: member{p.roll, p.id}, RelayID: p.id, Clock: p.clock, Log: r.log.Named("peer"),
		Events: r.events, Registerer: p.figures, Attend: 20 * time.Millisecond, RedialLimit: p.redial})
	if err != nil {
		r.t.Fatal(err)
	}
	p.peers, opts.Elsewhere, opts.RelayID, opts.Registerer = peers, peers, p.id, p.figures
}

func (p *peering) serve(r *relay) {
	r.t.Helper()
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		r.t.Fatal(err)
	}
	p.peers.Serve(p.listener, r.hub)
	address := p.listener.Addr().String()
	if p.between != nil {
		address = p.between(address)
	}
	p.roll.mu.Lock()
	defer p.roll.mu.Unlock()
	p.epoch++
	p.roll.relays[p.id] = peer.Relay{ID: p.id, Epoch: p.epoch, Address: address}
	p.roll.hubs[p.id] = r.hub
}

func (p *peering) leave(r *relay) {
	p.roll.mu.Lock()
	delete(p.roll.relays, p.id)
	delete(p.roll.hubs, p.id)
	p.roll.mu.Unlock()
	if err := p.peers.Close(); err != nil {
		r.t.Error(err)
	}
}

// newPair makes two relays that know each other.
func newPair(t *testing.T, prepare ...func(a, b *relay)) (a, b *relay) {
	t.Helper()
	known := newRoll()
	var first *relay
	make := func(id string) *relay {
		return newRelayWith(t, false, func(r *relay) {
			r.peering = &peering{roll: known, id: id}
			r.change = func(o *hub.Options) { o.AgentWait = patience }
			if first != nil {
				r.dir = first.dir
			} else {
				first = r
				r.dir.lastSeen = time.Now() // as who is enrolled was
			}
			for _, prepare := range prepare {
				if r == first {
					prepare(r, nil)
				} else {
					prepare(nil, r)
				}
			}
		})
	}
	return make("rly_a"), make("rly_b")
}

// awaitMet waits until another relay has a connection to this one.
func (r *relay) awaitMet(by *relay) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, "the relays are connected", func() error {
		if n := by.figure("sallyport_peers_connected"); n < 1 {
			return fmt.Errorf("%v connections", n)
		}
		return nil
	})
}

// figure is the sum of a metric of the relay among others.
func (r *relay) figure(name string) (sum float64) {
	r.t.Helper()
	families, err := r.peering.figures.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// whole is an answer's body, or how it failed: for who can't end the test.
func whole(resp *http.Response, err error) string {
	if err != nil {
		return "failed: " + err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "failed: " + err.Error()
	}
	return string(raw)
}
