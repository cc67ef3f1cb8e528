package hub

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
	"sallyport/relay/event"
)

// Options of a Hub. Directory, Events and Log are required.
type Options struct {
	Directory Directory
	Events    *event.Bus
	Log       *zap.Logger
	Clock     func() time.Time
	// RelayID names this relay to the agents.
	RelayID string
	// PublicURL is the relay's own address. An agent must have dialled its
	// host, or the tunnel is refused; see proto.Hello. nil: the Host header is
	// believed, which can't tell an impostor that passes handshakes on.
	PublicURL *url.URL
	// Registerer takes the hub's metrics; nil: none are kept.
	Registerer prometheus.Registerer
	// Heartbeat is how often each tunnel is pinged. Default 4 s, so that a
	// dead one is noticed within 9.
	Heartbeat time.Duration
	// MaxHandshakes is how many agents may be shaking hands at once, or waiting
	// for their turn to, and half as many from one address. Those beyond are
	// told when to come back. Default 8192: what a relay on two cores takes in
	// within a few seconds, while one that waits costs some 10 KiB.
	MaxHandshakes int
	// ConnectsPerAddress is how many connects of one address a second may fail
	// to lead to a tunnel, and ten times as many at once. 0: no limit.
	ConnectsPerAddress int
	// StepTimeout bounds each step of a handshake; all together have twice that.
	// Default 10 s.
	StepTimeout time.Duration
	// NoteEvery is how often the directory is told which instances are
	// connected, and says which of them no longer may. Default 30 s: what a crashed
	// relay leaves behind is no older.
	NoteEvery time.Duration
	// AgentWait is how long a request is held whose agent is away and was seen
	// within the last minute, unless the request says otherwise
	// (proto.HeaderWait). 0: it fails at once, whatever it says.
	AgentWait time.Duration
	// LastAlive is when a relay was last here to be connected to, before this
	// one started: agents that were seen until then are on their way back, for
	// however long there was no relay. Zero: not known.
	LastAlive time.Time
	// RoomWait is how long a request waits where its agent's tunnels are full,
	// unless the request says otherwise. Default 15 s.
	RoomWait time.Duration
	// MaxStreams is how many requests one tunnel carries at once. Default, and
	// most, mux.MaxStreams.
	MaxStreams int
	// Elsewhere is the way to agents by other relays; nil: there is none.
	Elsewhere Elsewhere
	// MaxWaiting is how many requests may wait for one agent; ten times as
	// many for all. Default 1000.
	MaxWaiting int
}

// Hub holds the tunnels of this relay. Make it with New; end it with Close,
// after Drain where there is time.
type Hub struct {
	opts     Options
	log      *zap.Logger
	upgrader websocket.Upgrader
	doorstep *doorstep
	turns    chan struct{} // one token for each proof that is looked at
	trials   trials
	watcher  wsconn.Watcher // of idle tunnels
	metrics  *metrics
	readers  sync.Pool // *bufio.Reader, for answers
	chunks   sync.Pool // *[mux.Chunk]byte, for uploads
	flight   flight
	unread   *mux.Budget   // of answers that their callers have not read yet
	nudged   chan struct{} // takes one: there is news of agents at other relays

	started time.Time

	life context.Context // ends with Close
	end  context.CancelFunc
	work sync.WaitGroup // every goroutine of the hub

	mu        sync.Mutex        // guards the following
	agents    map[string]*agent // by agent id; also those that have been here before
	arrivals  map[*arrival]struct{}
	logs      map[string]*logBook  // by agent id; only those that somebody follows
	unsettled map[string]unsettled // by instance id
	draining  bool
	staying   int           // tunnels that the agent has not replaced
	moved     chan struct{} // closed when draining and none of them is left
	closed    bool
	sequence  uint64 // of the last tunnel
	waiting   int    // requests that wait for their agents, in all

	unanswered time.Time // when the directory did not say last what it knows of an agent
}

// unreadAnswers is what answers may take beyond 256 KiB each, in bytes, while
// their callers do not read them. One begins with an eighth of it at most, where
// its path is long, and has as much again once it is read.
const unreadAnswers = 128 << 20

// New makes a Hub, which begins to accept tunnels at once.
func New(opts Options) *Hub {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Heartbeat == 0 {
		opts.Heartbeat = 4 * time.Second
	}
	if opts.MaxHandshakes == 0 {
		opts.MaxHandshakes = 8192
	}
	if opts.StepTimeout == 0 {
		opts.StepTimeout = 10 * time.Second
	}
	if opts.NoteEvery == 0 {
		opts.NoteEvery = 30 * time.Second
	}
	if opts.RoomWait == 0 {
		opts.RoomWait = 15 * time.Second
	}
	if opts.MaxStreams == 0 || opts.MaxStreams > mux.MaxStreams {
		opts.MaxStreams = mux.MaxStreams
	}
	if opts.MaxWaiting == 0 {
		opts.MaxWaiting = 1000
	}
	h := &Hub{
		opts:    opts,
		started: opts.Clock(),
		log:     opts.Log,
		upgrader: websocket.Upgrader{
			Subprotocols:    []string{proto.Subprotocol},
			WriteBufferSize: wsconn.ServerWriteBuffer,
			WriteBufferPool: &wsconn.WriteBuffers{},

			HandshakeTimeout: opts.StepTimeout,
			// Browsers have no business here; agents send no Origin.
			CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "" },
		},
		doorstep:  newDoorstep(opts),
		turns:     make(chan struct{}, proofsAtOnce),
		agents:    make(map[string]*agent),
		arrivals:  make(map[*arrival]struct{}),
		logs:      make(map[string]*logBook),
		unsettled: make(map[string]unsettled),
		unread:    mux.NewBudget(unreadAnswers),
		moved:     make(chan struct{}),
		nudged:    make(chan struct{}, 1),
	}
	h.readers.New = func() any { return bufio.NewReaderSize(nil, answerBuffer) }
	h.chunks.New = func() any { return new(chunk) }
	h.life, h.end = context.WithCancel(context.Background())
	h.metrics = newMetrics(opts.Registerer, h)
	h.work.Go(h.beat)
	h.work.Go(h.note)
	if opts.Elsewhere != nil {
		h.work.Go(h.scout)
	}
	return h
}

// Close ends all tunnels and waits for all that the hub has started.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.draining, h.closed = true, true
	tunnels := h.allTunnels()
	for _, a := range h.agents {
		h.dismiss(a, stopping)
	}
	h.mu.Unlock()
	h.end()
	var closing sync.WaitGroup
	for _, t := range tunnels {
		closing.Go(func() { t.close("the relay was stopped") })
	}
	closing.Wait()
	h.work.Wait()
	_ = h.watcher.Close() // nothing is left to watch
	h.metrics.unregister()
	return nil
}

// Disconnect ends the tunnels of an instance, or with instanceID "" those of
// all instances of the agent: for one that was revoked. What is under way on
// them is cut off, and nothing waits for them any longer.
func (h *Hub) Disconnect(agentID, instanceID, reason string) {
	h.mu.Lock()
	h.revokeArrivals(agentID, instanceID)
	var tunnels []*tunnel
	if a := h.agents[agentID]; a != nil {
		for _, t := range a.tunnels {
			if instanceID == "" || t.hello.InstanceID == instanceID {
				tunnels = append(tunnels, t)
			}
		}
	}
	h.mu.Unlock()
	for _, t := range tunnels {
		t.retire()
		h.spawn(func() { t.close(reason) })
	}
	h.spawn(func() { h.forsake(agentID, reason) })
}

// forsake dismisses those who wait for an agent that can't come back, since no
// instance of it is enrolled any more.
func (h *Hub) forsake(agentID, reason string) {
	ctx, cancel := context.WithTimeout(h.life, directoryTimeout)
	defer cancel()
	if _, err := h.opts.Directory.Known(ctx, agentID); !errors.Is(err, ErrNotEnrolled) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.agents[agentID]; a != nil {
		a.forsaken, a.askedAt = true, time.Time{}
		h.dismiss(a, reason)
	}
}

// allTunnels lists the tunnels of all agents; mu is held.
func (h *Hub) allTunnels() []*tunnel {
	var all []*tunnel
	for _, a := range h.agents {
		all = append(all, a.tunnels...)
	}
	return all
}

// spawn runs f in a goroutine that Close waits for; after Close it does
// nothing.
func (h *Hub) spawn(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.work.Go(f)
	}
}
