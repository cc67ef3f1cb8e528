package wsconn

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// readBuffer is the size of the buffer that Upgrade's websockets are read
// through, in bytes. It is small, since every idle connection has one; longer
// reads bypass it. It must hold the longest control frame, and should hold a
// small message whole.
const readBuffer = 512

// Upgrade is u.Upgrade with a small read buffer, which it returns for Options.
func Upgrade(u *websocket.Upgrader, w http.ResponseWriter, r *http.Request) (*websocket.Conn, *bufio.Reader, error) {
	h := &hijacker{ResponseWriter: w}
	ws, err := u.Upgrade(h, r, nil) // takes over the buffer, which is long enough for it
	return ws, h.reader, err
}

// hijacker gives the websocket a read buffer of ours in place of the server's.
type hijacker struct {
	http.ResponseWriter
	reader *bufio.Reader
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	conn, rw, err = http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if rw.Reader.Buffered() > 0 {
		_ = conn.Close()
		return nil, nil, errors.New("data before the handshake was complete")
	}
	h.reader = bufio.NewReaderSize(conn, readBuffer)
	return conn, bufio.NewReadWriter(h.reader, rw.Writer), nil
}

// ErrRest, from OnText, makes the Read that is under way return it: the reader
// lets go, and the connection goes on.
var ErrRest = errors.New("the reader was closed, so that the connection can rest")

// resting is what a Conn needs to rest without a goroutine.
type resting struct {
	watcher *Watcher
	buffer  *bufio.Reader // that the websocket reads from
	socket  syscall.RawConn
	secure  bool   // TLS lies between the buffer and the socket
	id      uint64 // at the watcher
	woken   func()

	mu     sync.Mutex // guards the following
	parked bool       // no goroutine reads; the watcher will start one
	gone   bool       // the socket was closed
}

// canRest prepares c to rest; where it can't, a goroutine reads as usual.
func (c *Conn) canRest(w *Watcher, buffer *bufio.Reader) {
	if w == nil || buffer == nil {
		return
	}
	conn := c.ws.NetConn()
	over, secure := conn.(*tls.Conn)
	if secure {
		conn = over.NetConn()
	}
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	if socket, err := plain.SyscallConn(); err == nil && w.open() == nil {
		c.resting = &resting{watcher: w, buffer: buffer, socket: socket, secure: secure}
	}
}

// Rest reads, for the sake of heartbeats and text messages, until a binary
// message has begun or nothing can be read any more, and then calls woken. It
// does not block. Where a Watcher is given, no goroutine waits meanwhile: an
// idle connection costs no stack.
func (c *Conn) Rest(woken func()) {
	r := c.resting
	if r == nil {
		go func() {
			_ = c.Await() // Read will say it again
			woken()
		}()
		return
	}
	r.woken = woken
	r.watcher.add(c)
	if c.unread() {
		go c.resume()
		return
	}
	c.park()
}

// unread reports whether something has come that is not in the socket any more,
// of which the system thus knows nothing, or that nothing more will come. It runs
// in the reader.
func (c *Conn) unread() bool {
	r := c.resting
	if r.buffer.Buffered() > 0 {
		return true
	}
	if !r.secure {
		return false
	}
	// TLS has buffers of its own. A read whose time is up takes what is whole in
	// there, and does not look at the socket; that it was in vain is no fault to TLS.
	if c.ws.SetReadDeadline(past) != nil {
		return true
	}
	_, err := r.buffer.Peek(1)
	var due time.Time
	if c.opts.IdleTimeout > 0 {
		due = c.born.Add(c.extended + c.opts.IdleTimeout)
	}
	return c.ws.SetReadDeadline(due) != nil || !errors.Is(err, os.ErrDeadlineExceeded)
}

var past = time.Unix(1, 0)

// Rouse has the Conn look whether its time is up, should it rest: nobody waits
// for the read deadline then.
func (c *Conn) Rouse() {
	r := c.resting
	if r == nil {
		return
	}
	r.mu.Lock()
	parked := r.parked
	r.parked = false
	r.mu.Unlock()
	if parked {
		go c.resume()
	}
}

// park leaves the waiting to the watcher.
func (c *Conn) park() {
	r := c.resting
	r.mu.Lock()
	r.parked = true
	gone := r.gone
	r.mu.Unlock()
	if gone || r.watcher.arm(r) != nil {
		c.Rouse() // then the goroutine waits itself
	}
}

// resume reads what has come, or waits for it where nothing has.
func (c *Conn) resume() {
	for {
		if err := c.nextResting(); err != nil || c.message != nil {
			c.resting.watcher.remove(c.resting.id)
			c.resting.woken()
			return
		}
		if !c.unread() {
			c.park()
			return
		}
	}
}

// nextResting is next, but returns after a heartbeat, where next would wait for
// what follows.
func (c *Conn) nextResting() error {
	if c.readErr == nil && c.takeHeartbeat() {
		return nil
	}
	return c.next()
}

// Parts of a frame's header, RFC 6455, section 5.2.
const (
	final     = 0x80 // of the first byte: the message ends with this frame
	masked    = 0x80 // of the second byte
	maskSize  = 4
	shortSize = 125 // the longest payload of a control frame
)

// takeHeartbeat takes in a ping or pong that is next in line. Anything else, a
// fault included, is left to the websocket package.
func (c *Conn) takeHeartbeat() bool {
	head, err := c.resting.buffer.Peek(2)
	if err != nil || head[1]&masked == 0 || head[1]&^masked > shortSize {
		return false
	}
	var take func(string) error
	switch head[0] {
	case final | websocket.PingMessage:
		take = c.gotPing
	case final | websocket.PongMessage:
		take = c.gotPong
	default:
		return false
	}
	frame, err := c.resting.buffer.Peek(2 + maskSize + int(head[1]&^masked))
	if err != nil {
		return false
	}
	mask, payload := frame[2:2+maskSize], make([]byte, len(frame)-2-maskSize)
	for i := range payload {
		payload[i] = frame[2+maskSize+i] ^ mask[i%maskSize]
	}
	_, _ = c.resting.buffer.Discard(len(frame)) // from the buffer: it can't fail
	return take(string(payload)) == nil
}

// closeSocket closes the socket and wakes the reader.
func (c *Conn) closeSocket() {
	if r := c.resting; r != nil {
		r.mu.Lock()
		r.gone = true
		r.mu.Unlock()
	}
	_ = c.ws.Close()
	c.Rouse()
}
