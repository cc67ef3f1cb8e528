// Package wsconn makes a websocket into a net.Conn for the multiplexer above
// it. Agent and relay use it alike, after the handshake.
//
// The multiplexer writes every frame in two small pieces. A message, a mask
// and a system call for each would cost more than the request inside, so Write
// only copies into a pending buffer, and whatever has gathered there while the
// previous message was on its way leaves as one message. An idle connection
// sends at once; a busy one sends few and large messages.
//
// The package never speaks of requests, never retries, and holds no buffer and
// no goroutine for a connection on which nothing is being sent.
package wsconn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// MaxMessage is the longest message that a Conn sends, in bytes; see
// messageSize. A client's websocket must be made with a WriteBufferSize of at
// least this, or its message becomes several frames.
const MaxMessage = 256 << 10

// ServerWriteBuffer is the WriteBufferSize for a server's websocket. What does
// not fit is sent from where it is, without being copied: only a client masks.
const ServerWriteBuffer = 4 << 10

// readLimit is the longest message that is accepted: generous, so that a later
// version may send longer ones.
const readLimit = 1 << 20

// MaxText is the longest text message that is accepted, in bytes.
const MaxText = 16 << 10

// defaultWriteTimeout is for an other end that speaks and does not listen; one
// that is gone is noticed by its silence. On 64 kbit/s two minutes let 960 KB
// pass: MaxMessage, and what a proxy in between has taken ahead of it.
const defaultWriteTimeout = 2 * time.Minute

// closeGrace bounds each step of an orderly Close: sending what is pending,
// and waiting for the other end to close too.
const closeGrace = 500 * time.Millisecond

// Options of a Conn. The zero value of OnPong and OnText will do.
type Options struct {
	// IdleTimeout is how long no byte may arrive before the connection is
	// taken for dead. 0: for ever.
	IdleTimeout time.Duration
	// WriteTimeout is how long one message may take to leave. It must allow
	// for MaxMessage on the slowest line that should work. 0: two minutes.
	WriteTimeout time.Duration
	// OnPong is told of the answer to a Ping, with the time that it took. It
	// runs in the reader and must not block.
	OnPong func(rtt time.Duration)
	// OnText is given each text message, of at most MaxText bytes. It runs in
	// the reader and must not block; an error ends the connection, but for
	// ErrRest. nil: a text message is a fault.
	OnText func(raw []byte) error
	// Watcher lets the connection rest without a goroutine, where the system
	// and the kind of connection allow it; see Rest. Buffer comes from Upgrade.
	Watcher *Watcher
	Buffer  *bufio.Reader
}

// Conn is a websocket as a net.Conn. One goroutine may read while any number
// write; Close may be called at any time and unblocks both.
type Conn struct {
	ws   *websocket.Conn
	opts Options

	born     time.Time     // what the times below count from, so that a clock that is set does not matter
	message  io.Reader     // the message that is being read; the reader's own
	extended time.Duration // when the read deadline was last set; the reader's own
	readErr  error         // why nothing can be read any more; the reader's own
	readDone chan struct{} // closed when Read has failed, which is for good
	clean    atomic.Bool   // the other end closed in order
	seen     atomic.Int64  // when the last byte arrived, in nanoseconds

	mu       sync.Mutex // guards the following
	changed  *sync.Cond // room in pending, flushing ended, or closed
	pending  []byte     // what Write has gathered; nil where nothing is
	ping     bool       // a ping is to be sent
	pong     []byte     // the payload of a pong that is to be sent; nil: none
	spoke    bool       // something was sent since SignOfLife last asked
	texts    [][]byte   // text messages that are to be sent
	flushing bool       // a goroutine is sending
	closed   bool
	err      error                 // why nothing can be sent any more
	cause    error                 // what ended the connection first, unless Close did
	bye      []byte                // what Close says; nil: that this end goes away
	heard    *websocket.CloseError // what the other end said when it closed; nil: nothing
	pinged   time.Time

	size     messageSize
	resting  *resting // nil: a goroutine reads
	closing  sync.Once
	received atomic.Int64
	sent     atomic.Int64
}

var _ net.Conn = (*Conn)(nil)

// New takes over ws, on which no message is being read or written. The caller
// closes the Conn and touches ws no more.
func New(ws *websocket.Conn, opts Options) *Conn {
	if opts.WriteTimeout == 0 {
		opts.WriteTimeout = defaultWriteTimeout
	}
	c := &Conn{ws: ws, opts: opts, readDone: make(chan struct{}), born: time.Now(), extended: -opts.IdleTimeout}
	c.changed = sync.NewCond(&c.mu)
	ws.SetReadLimit(readLimit)
	ws.SetPingHandler(c.gotPing)
	ws.SetPongHandler(c.gotPong)
	// Close answers a close message itself, after what is pending.
	ws.SetCloseHandler(func(int, string) error { return nil })
	c.size.begin(ws.NetConn())
	c.canRest(opts.Watcher, opts.Buffer)
	c.touch()
	return c
}

// Read reads from the binary messages as if they were one stream. io.EOF means
// that the other end closed in order: everything that it wrote has arrived.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if err := c.Await(); err != nil {
			return 0, err
		}
		n, err := c.message.Read(p)
		if n > 0 {
			c.received.Add(int64(n))
			c.touch()
			return n, nil
		}
		if err == io.EOF {
			c.message = nil
			continue
		}
		if err != nil {
			return 0, c.readFailed(err)
		}
	}
}

// Await waits until a binary message has begun, and fails as Read would. It
// counts as reading.
func (c *Conn) Await() error {
	for c.message == nil {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// next reads on until there is a message: the beginning of a binary one, which
// is left in c.message, or a text message, which is taken in.
func (c *Conn) next() error {
	if c.readErr != nil {
		return c.readErr
	}
	kind, r, err := c.ws.NextReader()
	switch {
	case err == nil && kind == websocket.TextMessage:
		err = c.takeText(r)
	case err == nil:
		c.message = r
	}
	switch {
	case errors.Is(err, ErrRest):
		return ErrRest
	case err != nil:
		return c.readFailed(err)
	}
	return nil
}

// readFailed turns a websocket's error into a net.Conn's, which every later
// Read returns too.
func (c *Conn) readFailed(err error) error {
	defer close(c.readDone)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case closedInOrder(err):
		// The answer to a close of ours says nothing of what the other end
		// was still about to write.
		c.clean.Store(!c.closed)
		c.heard = err.(*websocket.CloseError)
		c.readErr = io.EOF
	case c.closed:
		c.readErr = net.ErrClosed
	default:
		c.readErr = fmt.Errorf("read websocket: %w", err)
		if c.cause == nil {
			c.cause = c.readErr
		}
	}
	c.message = nil
	return c.readErr
}

// closedInOrder reports whether err is that the other end closed in order. Codes
// from 4000 on are private ones (RFC 6455, section 7.4.2).
func closedInOrder(err error) bool {
	closed, ok := err.(*websocket.CloseError)
	return ok && (closed.Code == websocket.CloseNormalClosure || closed.Code == websocket.CloseGoingAway || closed.Code >= 4000)
}

// Farewell is what the other end said when it closed; 0 where it said nothing.
func (c *Conn) Farewell() (code int, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard == nil {
		return 0, ""
	}
	return c.heard.Code, c.heard.Text
}

// SayAtClose has Close say why, in place of a mere CloseGoingAway: once, since
// who closes first decides. Of the text 123 bytes are sent.
func (c *Conn) SayAtClose(code int, text string) {
	if most := 123; len(text) > most { // RFC 6455, section 5.5
		text = strings.ToValidUTF8(text[:most-len("…")], "") + "…"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bye == nil {
		c.bye = websocket.FormatCloseMessage(code, text)
	}
}

// Cause is what broke the connection; nil while it stands, and where one of
// the two ends closed it in order.
func (c *Conn) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// touch notes that a byte has arrived. The deadline is moved only now and
// then: it costs more than reading a small frame does.
func (c *Conn) touch() {
	now := time.Since(c.born)
	c.seen.Store(int64(now))
	if c.opts.IdleTimeout > 0 && now-c.extended > c.opts.IdleTimeout/16 {
		c.extended = now
		// An error means that the connection is closed; Read will say so.
		_ = c.ws.SetReadDeadline(time.Now().Add(c.opts.IdleTimeout))
	}
}

// Silent is how long no byte has arrived.
func (c *Conn) Silent() time.Duration { return time.Since(c.born) - time.Duration(c.seen.Load()) }

// ClosedInOrder reports whether the other end closed in order: it sent all
// that it had accepted before, and nothing was lost on the way here.
func (c *Conn) ClosedInOrder() bool { return c.clean.Load() }

// Traffic is how many bytes of payload were received and sent so far.
func (c *Conn) Traffic() (received, sent int64) { return c.received.Load(), c.sent.Load() }

// Close sends what is pending, tells the other end, waits a moment for it to
// do the same, and closes. It unblocks Read and Write.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.mu.Lock()
		c.closed = true
		if c.cause != nil { // nothing will get through
			c.closeSocket()
		}
		// From here on each message gets closeGrace only; see flush. A message whose
		// sending begins in this very moment may yet set a later deadline of its own:
		// that ends with the socket.
		_ = c.ws.NetConn().SetWriteDeadline(time.Now().Add(closeGrace))
		late := time.AfterFunc(2*closeGrace, c.closeSocket)
		if (len(c.pending) > 0 || len(c.texts) > 0) && c.cause == nil {
			c.startFlush()
		}
		c.changed.Broadcast()
		for c.flushing {
			c.changed.Wait()
		}
		late.Stop()
		whole, bye := c.err == nil && c.cause == nil, c.bye
		c.mu.Unlock()
		if whole {
			if bye == nil {
				bye = websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
			}
			if c.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(closeGrace)) == nil {
				c.awaitPeer()
			}
		}
		c.closeSocket() // the reader learns of it
	})
	return nil
}

// awaitPeer waits until the other end has closed as well. Closing at once
// while its bytes are still arriving would reset the connection, and a reset
// can overtake what was just sent.
func (c *Conn) awaitPeer() {
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-c.readDone:
	case <-timer.C:
	}
}

// LocalAddr is the local address of the TCP connection.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the address of the other end of the TCP connection.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline is not supported: IdleTimeout and WriteTimeout take its place.
func (c *Conn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline is not supported; see SetDeadline.
func (c *Conn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline is not supported; see SetDeadline.
func (c *Conn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
