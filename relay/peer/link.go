package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/rawio"
	"sallyport/internal/retry"
	"sallyport/relay/hub"
)

const (
	// dialTimeout bounds each step of making a connection.
	dialTimeout = 5 * time.Second
	// redialFirst is the ceiling of the first wait before a relay is dialled again.
	redialFirst = 250 * time.Millisecond
	// complainEvery is how often it is said that a relay can't be reached.
	complainEvery = time.Minute
	// refutedFor is how long an agent is not looked for at a relay that has just
	// said that it does not hold it, though the store says so.
	refutedFor = time.Second
)

// link is the connection to one run of another relay, kept up for as long as
// that lives.
type link struct {
	peers *Peers
	relay Relay
	made  time.Time
	life  context.Context
	end   context.CancelFunc
	use   context.Context // ends when it retires, for what would last for ever
	unuse context.CancelFunc
	http  *http.Transport
	next  *link // is to follow it once it is up; nil: none. Guarded by the Peers' mu

	mu        sync.Mutex // guards the following
	conn      *http.ClientConn
	certified time.Time // until when both certificates are good by which conn was made
	leaving   bool      // the relay takes no more requests, while conn is up
	retired   bool      // another link has taken its place
	why       error     // why it is down; nil while it is being dialled for the first time
	inFlight  int
	byAgent   map[string]int        // how many of those are requests for an agent
	idle      chan struct{}         // closed when leaving and inFlight is 0
	refuted   map[string]refutation // by agent
}

// refutation says that a relay does not hold an agent, as it said by the counter.
type refutation struct {
	counter int64
	until   time.Time
}

func newLink(p *Peers, r Relay) *link {
	l := &link{peers: p, relay: r, made: p.opts.Clock(), byAgent: make(map[string]int), refuted: make(map[string]refutation)}
	l.life, l.end = context.WithCancel(p.life)
	l.use, l.unuse = context.WithCancel(l.life)
	l.http = &http.Transport{
		DialContext:         rawio.Dial(&net.Dialer{Timeout: dialTimeout}),
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig:     p.papers.dialling(r.ID),
		Protocols:           onlyHTTP2(),
		HTTP2:               p.tuning(),
		DisableCompression:  true,
		// A body leaves once the other relay has begun to send the request down a
		// tunnel, which costs a round trip between the two. So it is still whole
		// where that relay says that it has none, or stops. It always says one or
		// the other.
		ExpectContinueTimeout:  hub.MaxWait + time.Minute,
		MaxResponseHeaderBytes: maxFields,
	}
	return l
}

// run keeps the link up until it is ended.
func (l *link) run() {
	limit := l.peers.opts.RedialLimit
	backoff := retry.Backoff{First: redialFirst, Limit: limit, Settled: limit, Rand: rand.Float64}
	var complained time.Time
	for l.life.Err() == nil {
		began := time.Now()
		up, err := l.connect()
		if l.life.Err() != nil {
			return
		}
		l.down(err)
		if l.use.Err() != nil { // another has its place
			return
		}
		if up {
			backoff.Succeeded(time.Since(began))
			l.peers.log.Info("relay left", zap.String("relay", l.relay.ID), zap.String("address", l.relay.Address), zap.NamedError("reason", err))
			complained = time.Now()
		} else if time.Since(complained) >= complainEvery {
			complained = time.Now()
			what := "relay can't be reached"
			if l.peers.doubled(l) {
				what = "connection to a relay can't be made anew, though its certificates end before long"
			}
			l.peers.log.Warn(what, zap.String("relay", l.relay.ID), zap.String("address", l.relay.Address),
				zap.String("why", words(err)), zap.NamedError("cause", err))
		}
		wait := time.NewTimer(backoff.Next())
		select {
		case <-l.life.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// connect makes a connection and holds it until it ends. up reports whether it was
// of use at all.
func (l *link) connect() (up bool, err error) {
	ctx, cancel := context.WithTimeout(l.life, 2*dialTimeout)
	defer cancel()
	own, err := l.peers.papers.own() // it shows this one, or by then a later one
	if err != nil {
		return false, err
	}
	conn, err := l.http.NewClientConn(ctx, "https", l.relay.Address)
	if err != nil {
		return false, err
	}
	defer conn.Close() // what is under way on it fails by that
	heard, stop := context.WithCancel(l.life)
	defer stop()
	giveUp := time.AfterFunc(dialTimeout, stop) // until it answers
	req, err := http.NewRequestWithContext(heard, http.MethodGet, "https://"+l.relay.Address+pathLink, nil)
	if err != nil {
		return false, err
	}
	resp, err := conn.RoundTrip(req)
	if err != nil {
		if !giveUp.Stop() {
			err = context.DeadlineExceeded
		}
		return false, err
	}
	defer resp.Body.Close()
	if !giveUp.Stop() {
		return false, context.DeadlineExceeded
	}
	if resp.StatusCode != http.StatusOK {
		return false, &unexpectedError{resp.StatusCode}
	}
	l.mu.Lock()
	l.conn, l.why, l.leaving, l.idle = conn, nil, false, make(chan struct{})
	l.certified = firstToEnd(own, resp.TLS)
	l.mu.Unlock()
	if !l.peers.doubled(l) {
		l.peers.log.Info("relay reached", zap.String("relay", l.relay.ID), zap.String("address", l.relay.Address))
		l.peers.nudge()
		l.peers.missed() // what happened there until now
	}
	return true, l.listen(resp)
}

// unexpectedError: the relay answers, and not as one should.
type unexpectedError struct{ status int }

func (e *unexpectedError) Error() string {
	if e.status == http.StatusServiceUnavailable {
		return "it is about to stop"
	}
	return fmt.Sprintf("it answers %d to what relays ask each other: is it of another version?", e.status)
}

// errLeaves: the other relay is about to stop, and all its answers have come.
var errLeaves = errors.New("it stops")

// leave sends no more requests over the connection. The channel is closed when
// the last is answered.
func (l *link) leave() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	if l.inFlight == 0 {
		close(l.idle)
	}
	return l.idle
}

// down notes that there is no connection.
func (l *link) down(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.why = nil, why
}

func (l *link) up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil && !l.leaving
}

// fullError: as many requests are on their way to the relay as may be at once.
type fullError struct{ limit int }

func (e *fullError) Error() string {
	return fmt.Sprintf("%d requests are on their way to it, and no more may be", e.limit)
}

// take takes a place for one request, or with agentID "" for a question of this
// relay's own. errNoLink, or *fullError.
func (l *link) take(agentID string) (*http.ClientConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.conn == nil || l.leaving || l.retired:
		return nil, errNoLink
	case agentID != "" && l.byAgent[agentID] >= mostForOne:
		return nil, &fullError{mostForOne}
	case l.conn.Reserve() == nil:
	case l.conn.Err() != nil: // it has just ended
		return nil, errNoLink
	default:
		return nil, &fullError{streamsAtOnce}
	}
	l.inFlight++
	l.peers.underWay.Add(1)
	if agentID != "" {
		l.byAgent[agentID]++
	}
	return l.conn, nil
}

// release gives a place back, once the request on it has ended.
func (l *link) release(agentID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.peers.underWay.Add(-1)
	if l.byAgent[agentID]--; l.byAgent[agentID] <= 0 {
		delete(l.byAgent, agentID)
	}
	if l.retired && l.inFlight == 0 {
		l.end()
	}
	if l.leaving && l.inFlight == 0 {
		close(l.idle)
	}
}

// retire ends the link once its last request is answered. It may have been made anew
// to the run that the link in its place is meant for, before that was known.
func (l *link) retire() {
	l.unuse()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired = true; l.inFlight == 0 {
		l.end()
	}
}

// useful reports whether the agent may be found by this link, as the store says
// by the counter, and how much is under way on it.
func (l *link) useful(agentID string, counter int64) (inFlight int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.leaving || l.retired {
		return 0, false
	}
	if said, refuted := l.refuted[agentID]; refuted {
		if counter <= said.counter && time.Now().Before(said.until) {
			return 0, false
		}
		delete(l.refuted, agentID)
	}
	return l.inFlight, true
}

// refute notes that the relay does not hold the agent, though it said so by the
// counter.
func (l *link) refute(agentID string, counter int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for id, said := range l.refuted { // there are few, and they are soon old
		if now.After(said.until) {
			delete(l.refuted, id)
		}
	}
	l.refuted[agentID] = refutation{counter, now.Add(refutedFor)}
}

// trouble is why the link is of no use; nil: it is, or nobody can help it.
func (l *link) trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		return nil
	}
	if l.why == nil {
		return errors.New("it is being connected to")
	}
	return l.why
}
