package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// A Forwarder passes TCP connections on to a target and can be a bad network
// meanwhile: delay, throttle, go silent without closing anything (half-open),
// refuse, cut after a byte. Every fault can be set while connections are open.
type Forwarder struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	owned    sync.WaitGroup

	mu       sync.Mutex // guards the following
	open     map[*forwarded]struct{}
	delay    time.Duration
	rate     int64 // bytes a second each way; 0: no limit
	next     []Cut // of connections that are yet to be opened
	silent   chan struct{}
	refuse   func() bool // nil: none
	accepted int
	closed   bool
}

// Cut says when a connection is cut, and how.
type Cut struct {
	// Up counts what the client sends; otherwise what the target sends counts.
	Up bool
	// After is how many bytes still get through.
	After int64
	// Reset cuts with RST; otherwise both ends see the connection closed.
	Reset bool
}

// NewForwarder listens on the address listen ("127.0.0.1:0" picks a port) and
// passes each connection on to target. Its owner calls Close.
func NewForwarder(listen, target string) (*Forwarder, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("forwarder: %w", err)
	}
	f := &Forwarder{
		listener: listener,
		dial:     func() (net.Conn, error) { return net.DialTimeout("tcp", target, 5*time.Second) },
		open:     make(map[*forwarded]struct{}),
	}
	f.owned.Add(1)
	go f.accept()
	return f, nil
}

// Addr is the host and port at which the forwarder listens.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// SetDelay sets how long each byte takes one way; a round trip takes twice that.
func (f *Forwarder) SetDelay(oneWay time.Duration) { f.set(func() { f.delay = oneWay }) }

// SetRate limits each direction of each connection to so many bytes a second;
// 0 lifts the limit.
func (f *Forwarder) SetRate(bytesPerSecond int64) { f.set(func() { f.rate = bytesPerSecond }) }

// CutNext makes the cuts of each connection that is opened from now on; none:
// they are left alone.
func (f *Forwarder) CutNext(cuts ...Cut) { f.set(func() { f.next = cuts }) }

// CutOpen makes the cuts of each connection that is open now, in place of those
// that it had; bytes count from here on.
func (f *Forwarder) CutOpen(cuts func() []Cut) {
	f.set(func() {
		for c := range f.open {
			c.cuts = slices.Clone(cuts())
		}
	})
}

// Silence stops passing anything on, both ways, and keeps every socket open:
// a half-open connection, as a pulled cable leaves it. False lets all flow again.
func (f *Forwarder) Silence(on bool) {
	f.set(func() {
		switch {
		case on && f.silent == nil:
			f.silent = make(chan struct{})
		case !on && f.silent != nil:
			close(f.silent)
			f.silent = nil
		}
	})
}

// Refuse closes new connections at once while on.
func (f *Forwarder) Refuse(on bool) {
	f.set(func() {
		f.refuse = nil
		if on {
			f.refuse = func() bool { return true }
		}
	})
}

// RefuseShare closes so many of the new connections at once, 0 to 1; which
// ones, rnd says.
func (f *Forwarder) RefuseShare(share float64, rnd *rand.Rand) {
	f.set(func() { f.refuse = func() bool { return rnd.Float64() < share } })
}

// Cut closes every connection that is open now.
func (f *Forwarder) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.close()
	}
}

// Open is the number of connections that are open now.
func (f *Forwarder) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// Accepted is how many connections were made so far, refused ones included.
func (f *Forwarder) Accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accepted
}

// Close stops listening, cuts all connections and waits until none is left.
func (f *Forwarder) Close() {
	f.Silence(false)
	f.set(func() { f.closed = true })
	_ = f.listener.Close()
	f.Cut()
	f.owned.Wait()
}

func (f *Forwarder) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *Forwarder) accept() {
	defer f.owned.Done()
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.accepted++
		refused := f.refuse != nil && f.refuse()
		f.mu.Unlock()
		if refused {
			_ = client.Close()
			continue
		}
		f.owned.Add(1)
		go f.serve(client)
	}
}

func (f *Forwarder) serve(client net.Conn) {
	defer f.owned.Done()
	target, err := f.dial()
	if err != nil {
		_ = client.Close()
		return
	}
	c := &forwarded{client: client, target: target}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		c.close()
		return
	}
	f.open[c] = struct{}{}
	c.cuts = append(c.cuts, f.next...)
	f.mu.Unlock()
	defer func() {
		c.close()
		f.set(func() { delete(f.open, c) })
	}()

	var both sync.WaitGroup
	both.Go(func() { f.pass(c, true) })
	both.Go(func() { f.pass(c, false) })
	both.Wait()
}
