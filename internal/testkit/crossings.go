package testkit

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Crossings passes TCP connections on to a target and counts how often what is
// said over them has to cross the path, one crossing after the other: two of
// them are a round trip. It counts by cause and not by time, so that a busy
// machine changes nothing.
//
// Each end has a logical clock (Lamport's): what leaves an end is one crossing
// later than the latest that had reached this end before, over any of the
// connections. Something that had nothing to do with what was waited for can
// thus make the count larger, and never smaller: of several counts of the same
// thing, the least is right.
type Crossings struct {
	listener net.Listener
	target   string
	owned    sync.WaitGroup

	mu     sync.Mutex // guards the following
	clock  map[end]int
	open   map[net.Conn]struct{}
	closed bool
}

// end is an end of the path.
type end bool

const (
	dialler end = false // the end that opens connections
	dialled end = true  // the end of the target
)

// NewCrossings listens on a port of loopback and passes each connection on to
// target. Its owner calls Close.
func NewCrossings(target string) (*Crossings, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("crossings: %w", err)
	}
	c := &Crossings{listener: listener, target: target, clock: make(map[end]int), open: make(map[net.Conn]struct{})}
	c.owned.Go(c.accept)
	return c, nil
}

// Addr is the host and port at which it listens.
func (c *Crossings) Addr() string { return c.listener.Addr().String() }

// Reset begins to count anew; the path should be idle.
func (c *Crossings) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.clock)
}

// AtDialler is how many crossings led to what the end that opens connections
// knows now, AtTarget to what the target knows.
func (c *Crossings) AtDialler() int { return c.at(dialler) }

// AtTarget is described with AtDialler.
func (c *Crossings) AtTarget() int { return c.at(dialled) }

func (c *Crossings) at(e end) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock[e]
}

// Close stops listening, cuts all connections and waits until none is left.
func (c *Crossings) Close() {
	c.mu.Lock()
	c.closed = true
	for conn := range c.open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	_ = c.listener.Close()
	c.owned.Wait()
}

func (c *Crossings) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.owned.Go(func() { c.serve(from) })
	}
}

func (c *Crossings) serve(from net.Conn) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", c.target, 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.open[from], c.open[to] = struct{}{}, struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, from)
		delete(c.open, to)
	}()
	var both sync.WaitGroup
	both.Go(func() { c.pass(to, from, dialler) })
	both.Go(func() { c.pass(from, to, dialled) })
	both.Wait()
}

// cross notes that something has left an end and arrives at the other.
func (c *Crossings) cross(leaving end) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock[!leaving] = max(c.clock[!leaving], c.clock[leaving]+1)
}

// pass carries what leaves one end until it ends, and then half-closes.
func (c *Crossings) pass(to, from net.Conn, leaving end) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			c.cross(leaving) // before it is written: whoever reads it may answer at once
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		}
	}
}
