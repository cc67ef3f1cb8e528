// Package link holds the agent's tunnels to its relay: it dials, proves who
// the agent is, hands every stream that the relay opens to Serve, and dials
// again when a tunnel ends. Package agent/cli runs it.
//
// It never looks into a stream: what a request is, and whether it is allowed,
// is for package agent/forward. It never accepts a connection either; all of
// its connections lead out.
package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"sallyport/agent/egress"
	"sallyport/internal/mux"
	"sallyport/internal/retry"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// Identity is who the agent is, as its enrolment settled it.
type Identity struct {
	AgentID    string
	InstanceID string
	Key        ed25519.PrivateKey // never leaves the machine
}

// Machine is what the agent tells the relay about where it runs.
type Machine struct {
	Hostname     string
	OS, Arch     string
	Version      string
	Capabilities []string
}

// Options of a Link. Relay, Identity, Machine, Serve and Log are required.
type Options struct {
	Relay    *url.URL
	Identity Identity
	Machine  Machine
	// Serve serves the requests that follow one another on a stream, and
	// returns when there will be no more; the stream is closed afterwards. Its
	// context ends when the tunnel is gone. The stream has a method Busy(int),
	// to be told of each request that begins (+1) and ends (-1).
	Serve func(ctx context.Context, stream net.Conn)
	// Refuse answers the one request on a stream that is one too many, without
	// reading it; nil: the stream is just closed. It must be quick.
	Refuse func(stream net.Conn)
	// MaxStreams is how many streams of one tunnel are served at once. Default
	// twice what a relay opens: those that it keeps for later, and those that it
	// has given up and that have not ended here yet, come on top.
	MaxStreams int
	// Announce is what the relay is told of this agent as soon as a tunnel is
	// up; nil: nothing.
	Announce func() []proto.Control
	// Hear is told of what the relay says that the link itself has no use for, and
	// down which tunnel; nil: nobody is. It must not block.
	Hear func(m proto.Control, from Peer)
	// Changed is called whenever an attempt has ended or a tunnel has come up or
	// gone: with nil where the relay is reached, by this or another tunnel, else
	// with what went wrong. One call at a time; nil: nobody wants to know.
	Changed func(err error)
	// Tunnels is how many tunnels are held at once. Default 2: one more than
	// needed, so that one can break, or be replaced, unnoticed.
	Tunnels int
	// Egress is the way out to the relay; nil: that of zero egress.Options. Reroute
	// changes it.
	Egress *egress.Egress
	// AllowPlaintext lets the relay be dialled without TLS beyond loopback.
	AllowPlaintext bool
	Log            *zap.Logger
	Clock          func() time.Time
	// Addresses are this machine's; when they change, a waiting slot dials at
	// once. Default net.InterfaceAddrs.
	Addresses func() ([]net.Addr, error)

	// RetryFirst and RetryLimit are the ceilings of the first and of any wait
	// between attempts. Default 1 s and 60 s.
	RetryFirst, RetryLimit time.Duration
	// RetryRefused is the wait after a refusal that only a person can heal.
	// Default 5 min.
	RetryRefused time.Duration
	// StopTimeout is how long requests that are under way may go on after the
	// end of Run's context. Default 15 s: service managers wait about 20.
	StopTimeout time.Duration
	// StepTimeout bounds dialling and each step of the handshake. Default 15 s.
	StepTimeout time.Duration
}

// Peer is the relay, at the end of one tunnel.
type Peer interface {
	Tell(m proto.Control) error // does not block
	Ended() <-chan struct{}     // closed when the tunnel is gone
}

// settled is how long a tunnel must have lived for its end to be a surprise,
// after which the waits begin at RetryFirst again.
const settled = 30 * time.Second

// unreadUploads is what uploads may take beyond 256 KiB each, in bytes, while
// their targets do not take them.
const unreadUploads = 64 << 20

// Link holds the tunnels of one agent. Make it with New.
type Link struct {
	opts    Options
	log     *zap.Logger
	way     atomic.Pointer[egress.Egress]
	run     string // of this run of the program; see proto.Hello
	buffers wsconn.WriteBuffers
	unread  *mux.Budget // of uploads that their targets have not taken yet
	status  *statusBoard
	news    sync.Mutex     // held while Options.Changed is called
	work    sync.WaitGroup // tunnels that are finishing
}

// New makes a Link; Run makes it work.
func New(opts Options) *Link {
	if opts.Tunnels == 0 {
		opts.Tunnels = 2
	}
	if opts.MaxStreams == 0 {
		opts.MaxStreams = 2 * mux.MaxStreams
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Egress == nil {
		opts.Egress = &egress.Egress{}
	}
	if opts.Addresses == nil {
		opts.Addresses = net.InterfaceAddrs
	}
	defaultTo(&opts.RetryFirst, time.Second)
	defaultTo(&opts.RetryLimit, time.Minute)
	defaultTo(&opts.RetryRefused, 5*time.Minute)
	defaultTo(&opts.StopTimeout, 15*time.Second)
	defaultTo(&opts.StepTimeout, 15*time.Second)
	l := &Link{
		opts: opts, log: opts.Log, run: uuid.NewString(),
		unread: mux.NewBudget(unreadUploads),
		status: newStatusBoard(opts.Tunnels, opts.Clock),
	}
	l.way.Store(opts.Egress)
	return l
}

// Reroute has the relay dialled by another way from now on, and the tunnels that
// are up replaced: each stays in use until the one that comes in its place is
// open, so a way that leads nowhere costs nothing.
func (l *Link) Reroute(way *egress.Egress) {
	l.way.Store(way)
	for _, t := range l.status.tunnels() {
		t.replace(reroute)
	}
}

// reroute is the span in which tunnels are replaced by Reroute: not both at
// once.
const reroute = 2 * time.Second

func defaultTo(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// ErrPlaintext: the relay would be dialled without TLS.
var ErrPlaintext = errors.New("the relay's URL is not https")

// Tell sends the relay a control message down every tunnel that is up. Where one
// is opened meanwhile, what Options.Announce says by then is sent down it.
func (l *Link) Tell(m proto.Control) {
	for _, t := range l.status.tunnels() {
		t.tell(m)
	}
}

// CheckRelay reports whether the relay's URL may be used: https, or http to
// this machine, or http where that is allowed in so many words.
func CheckRelay(relay *url.URL, allowPlaintext bool) error {
	switch {
	case relay.Host == "":
		return fmt.Errorf("the relay's URL %q names no host", relay.Redacted())
	case relay.Scheme == "https":
		return nil
	case relay.Scheme != "http":
		return fmt.Errorf("the relay's URL %q is neither https nor http", relay.Redacted())
	case allowPlaintext || isLoopback(relay.Hostname()):
		return nil
	}
	return fmt.Errorf("%w: %s; use https, or allow plain text in the agent's configuration (allowPlaintextRelay: true)", ErrPlaintext, relay.Redacted())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Run holds the tunnels until ctx ends; then it lets requests under way finish
// and returns nil. An error means that it could not even begin.
func (l *Link) Run(ctx context.Context) error {
	if err := CheckRelay(l.opts.Relay, l.opts.AllowPlaintext); err != nil {
		return err
	}
	l.log.Info("connecting to the relay", zap.String("relay", l.opts.Relay.Redacted()),
		zap.String("agent", l.opts.Identity.AgentID), zap.String("instance", l.opts.Identity.InstanceID), zap.Int("tunnels", l.opts.Tunnels))
	var slots sync.WaitGroup
	for slot := range l.opts.Tunnels {
		slots.Go(func() { l.hold(ctx, slot) })
	}
	slots.Wait()
	l.work.Wait()
	return nil
}

// hold keeps one tunnel up.
func (l *Link) hold(ctx context.Context, slot int) {
	fresh := retry.Backoff{First: l.opts.RetryFirst, Limit: l.opts.RetryLimit, Settled: settled, Rand: rand.Float64}
	backoff := fresh
	var leaving *tunnel // asked by the relay to be replaced, and still in use
	for ctx.Err() == nil {
		l.status.connecting(slot)
		way := l.way.Load()
		t, err := l.dial(ctx, way, slot)
		if leaving != nil && (err == nil || ctx.Err() != nil) {
			old := leaving
			l.work.Go(func() { old.handOver(ctx) }) // only now: the new one is open first
			leaving = nil
		}
		var wait time.Duration
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			wait = l.delay(err, &backoff)
			l.status.failed(slot, err, l.opts.Clock().Add(wait))
			l.changed(err)
			l.logFailure(slot, err, wait)
		} else {
			wait, leaving = l.keep(ctx, t, &backoff)
		}
		if l.pause(ctx, wait, way, leaving.gone()) {
			backoff = fresh
		}
		if leaving.over() && ctx.Err() == nil { // it has not lived until there was another
			wait = l.lost(leaving, &backoff)
			leaving = nil
			l.pause(ctx, wait, way, nil)
		}
	}
	if leaving != nil {
		leaving.finish()
	}
	l.status.stopped(slot)
}

// keep holds a tunnel until it ends, the relay asks for another, or ctx ends.
// It returns when to dial next, and the tunnel where it is still in use.
func (l *Link) keep(ctx context.Context, t *tunnel, backoff *retry.Backoff) (time.Duration, *tunnel) {
	l.status.online(t)
	l.changed(nil)
	if l.opts.Announce != nil { // after it is online: what Tell says from now on comes later
		for _, m := range l.opts.Announce() {
			t.tell(m)
		}
	}
	l.log.Info("tunnel up", zap.Int("slot", t.slot), zap.String("tunnel", t.welcome.TunnelID), zap.Duration("rtt", t.rtt))
	if off := time.Duration(t.welcome.ClockOffsetMs) * time.Millisecond; off.Abs() > time.Minute {
		l.log.Warn("this machine's clock differs from the relay's", zap.Duration("ahead", off))
	}
	select {
	case <-t.session.Ended(): // and not only when its requests have ended, too
		return l.lost(t, backoff), nil
	case within := <-t.drain:
		backoff.Succeeded(l.opts.Clock().Sub(t.since))
		wait := time.Duration(rand.Float64() * float64(within))
		l.log.Info("tunnel is to be replaced", zap.Int("slot", t.slot), zap.Duration("in", wait))
		return wait, t
	case <-ctx.Done():
		t.finish()
		return 0, nil
	}
}

// lost notes that a tunnel has ended that was to stay, and returns when to dial
// next.
func (l *Link) lost(t *tunnel, backoff *retry.Backoff) time.Duration {
	lived := l.opts.Clock().Sub(t.since)
	backoff.Succeeded(lived)
	wait, why := backoff.Next(), t.why()
	l.status.failed(t.slot, why, l.opts.Clock().Add(wait))
	l.changed(why)
	level := zap.WarnLevel
	if errors.As(why, new(*SupersededError)) { // this will not heal by itself
		level = zap.ErrorLevel
	}
	l.log.Log(level, "tunnel down", zap.Int("slot", t.slot), zap.String("tunnel", t.welcome.TunnelID),
		zap.Duration("lived", lived), zap.Error(why), zap.Duration("retryIn", wait))
	return wait
}

// changed tells whoever wants to know how the link is, by what is so now: the
// slots fare side by side, and the news of one may come late.
func (l *Link) changed(err error) {
	if l.opts.Changed == nil {
		return
	}
	l.news.Lock()
	defer l.news.Unlock()
	if l.status.read().State == StateOnline {
		err = nil
	} else if err == nil { // the tunnel that came up is gone already
		return
	}
	l.opts.Changed(err)
}

// delay is how long to wait after a failed attempt.
func (l *Link) delay(err error, backoff *retry.Backoff) time.Duration {
	wait := backoff.Next()
	var refused *proto.Refused
	var dial *egress.DialError
	switch {
	case errors.As(err, &refused) && !refused.Code.Heals():
		// Half of it at random, so that a fleet whose relay was reset does
		// not knock in step.
		wait = l.opts.RetryRefused/2 + time.Duration(rand.Float64()*float64(l.opts.RetryRefused/2))
	case errors.As(err, &refused):
		wait += time.Duration(refused.RetryAfterSeconds) * time.Second
	case errors.As(err, &dial):
		// The relay tells everybody another time; the backoff, which grows each
		// time anew, is what relieves one that has told too many.
		wait += min(dial.RetryAfter, egress.MaxRetryAfter)
	}
	return wait
}

func (l *Link) logFailure(slot int, err error, wait time.Duration) {
	var refused *proto.Refused
	if errors.As(err, &refused) && !refused.Code.Heals() {
		l.log.Error("relay refuses this machine; this will not heal by itself", zap.Int("slot", slot),
			zap.String("code", string(refused.Code)), zap.String("text", refused.Text), zap.Duration("retryIn", wait))
		return
	}
	l.log.Warn("relay not reached", zap.Int("slot", slot), zap.Error(err), zap.Duration("retryIn", wait))
}
