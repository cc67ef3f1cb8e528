package mux_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/wsconn"
)

// wire is one direction of a network in memory that keeps all bytes in order,
// and nothing else: what was written at once arrives in pieces, what was
// written in pieces arrives at once, and now and then something waits. It can
// also change one byte, or end at one.
type wire struct {
	from, to net.Conn
	plan     plan
	armed    atomic.Bool // false: passes everything on as it is, for the handshake

	mu     sync.Mutex // guards the following
	more   *sync.Cond
	queue  []byte
	closed bool
	record []byte // all that was sent since it was armed, unharmed

	harm   harm
	passed int // bytes of record that were passed on; the sender's own
	hit    atomic.Bool
	moved  atomic.Int64 // counts up with each piece
}

// finePieces is how many pieces are as the plan has them. After that all
// travels as it comes, or a long body in single bytes would take a minute.
const finePieces = 500

// harm is what a wire does to its bytes.
type harm struct {
	at   int  // position; <0: it does nothing
	flip byte // bits that are changed there; 0: the wire ends there
}

func newWire(from, to net.Conn, p plan, h harm) *wire {
	w := &wire{from: from, to: to, plan: p, harm: h}
	w.more = sync.NewCond(&w.mu)
	return w
}

// run passes bytes on until either end is closed.
func (w *wire) run() {
	var work sync.WaitGroup
	work.Go(w.receive)
	work.Go(w.send)
	work.Wait()
}

func (w *wire) receive() {
	p := make([]byte, 64<<10)
	for {
		n, err := w.from.Read(p)
		w.mu.Lock()
		if w.armed.Load() {
			w.record = append(w.record, p[:n]...)
		}
		w.queue = append(w.queue, p[:n]...)
		w.closed = w.closed || err != nil
		closed := w.closed
		w.more.Signal()
		w.mu.Unlock()
		if closed {
			return
		}
	}
}

func (w *wire) send() {
	defer w.cut()
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.more.Wait()
		}
		n := len(w.queue)
		if n == 0 {
			w.mu.Unlock()
			return
		}
		armed := w.armed.Load()
		fine := armed && w.moved.Load() < finePieces
		if fine {
			n = min(n, w.plan.piece())
		}
		piece := append([]byte(nil), w.queue[:n]...)
		w.queue = w.queue[n:]
		w.mu.Unlock()
		if fine {
			w.plan.delay()
		}
		if armed && !w.spoil(&piece) {
			return
		}
		if _, err := w.to.Write(piece); err != nil {
			return
		}
		w.moved.Add(1)
	}
}

// spoil does the harm where its position is in the piece. false: the wire ends.
func (w *wire) spoil(piece *[]byte) bool {
	i := w.harm.at - w.passed
	w.passed += len(*piece)
	if i < 0 || i >= len(*piece) {
		return true
	}
	w.hit.Store(true)
	if w.harm.flip == 0 {
		_, _ = w.to.Write((*piece)[:i])
		return false
	}
	(*piece)[i] ^= w.harm.flip
	return true
}

// damage is where the wire did its harm, where it did, and whether the tunnel
// can stand it: a byte that was changed within a body.
func (w *wire) damage() (hit place, harmed, mild bool) {
	if !w.hit.Load() {
		return place{}, false, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	hit = find(w.record, w.harm.at)
	return hit, true, w.harm.flip != 0 && hit.payload
}

// cut ends the wire.
func (w *wire) cut() {
	w.mu.Lock()
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	_ = w.from.Close()
	_ = w.to.Close()
}

// plan makes decisions from the bytes of a fuzzer, over and over.
type plan struct {
	script []byte
	next   int
}

func (p *plan) byte() byte {
	if len(p.script) == 0 {
		return 0
	}
	b := p.script[p.next%len(p.script)]
	p.next++
	return b
}

// at is a plan of its own that begins elsewhere in the same bytes.
func (p plan) at(i int) plan { return plan{script: p.script, next: i} }

// piece is how many bytes travel together: mostly a few, or all there are.
func (p *plan) piece() int {
	switch b := p.byte(); {
	case b < 64:
		return 1 + int(b)
	case b < 128:
		return 1 << (b % 16)
	default:
		return 1 << 20
	}
}

func (p *plan) delay() {
	if b := p.byte(); b > 240 {
		time.Sleep(time.Duration(b-240) * 20 * time.Microsecond)
	}
}

// websockets connects the two ends of a websocket by two wires.
func websockets(t testing.TB, down, up func(from, to net.Conn) *wire) (client, server *websocket.Conn, wires [2]*wire, passing *sync.WaitGroup) {
	t.Helper()
	clientEnd, near := net.Pipe()
	far, serverEnd := net.Pipe()
	wires = [2]*wire{down(far, near), up(near, far)}
	passing = &sync.WaitGroup{}
	for _, w := range wires {
		passing.Go(w.run)
	}
	upgraded := make(chan *websocket.Conn, 1)
	go func() {
		ws, err := upgrade(serverEnd)
		if err != nil {
			t.Error(err)
		}
		upgraded <- ws
	}()
	dialer := websocket.Dialer{
		NetDialContext:  func(context.Context, string, string) (net.Conn, error) { return clientEnd, nil },
		WriteBufferSize: wsconn.MaxMessage,
	}
	client, _, err := dialer.DialContext(t.Context(), "ws://relay/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if server = <-upgraded; server == nil {
		t.FailNow()
	}
	for _, w := range wires {
		w.armed.Store(true)
	}
	return client, server, wires, passing
}

// upgrade answers the handshake of a websocket on a connection.
func upgrade(conn net.Conn) (*websocket.Conn, error) {
	buffered := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	req, err := http.ReadRequest(buffered.Reader)
	if err != nil {
		return nil, err
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: wsconn.ServerWriteBuffer}
	return upgrader.Upgrade(hijackable{conn, buffered, http.Header{}}, req, nil)
}

// hijackable is the little of an HTTP server that an upgrade needs.
type hijackable struct {
	conn     net.Conn
	buffered *bufio.ReadWriter
	header   http.Header
}

func (h hijackable) Header() http.Header                          { return h.header }
func (h hijackable) Write(p []byte) (int, error)                  { return h.conn.Write(p) }
func (h hijackable) WriteHeader(int)                              {}
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.buffered, nil }

// place is where in a direction a byte is.
type place struct {
	payload bool // within the body of a data frame: stream and offset
	stream  uint32
	offset  int
	before  map[uint32]int // bytes of each stream that end before
}

// find parses what was sent, websocket frames (RFC 6455, section 5.2) with
// yamux frames within, as far as the position.
func find(record []byte, at int) place {
	p := place{before: map[uint32]int{}}
	var header []byte // of the yamux frame, as far as it has come
	body := 0         // bytes of its body that are still to come
	for i := 0; i+2 <= len(record); {
		control := record[i]&0x08 != 0
		masked := record[i+1]&0x80 != 0
		length := int(record[i+1] & 0x7f)
		start := i + 2
		switch {
		case length == 126 && start+2 <= len(record):
			length, start = int(binary.BigEndian.Uint16(record[start:])), start+2
		case length == 127 && start+8 <= len(record):
			length, start = int(binary.BigEndian.Uint64(record[start:])), start+8
		}
		mask := make([]byte, 4)
		if masked && start+4 <= len(record) {
			copy(mask, record[start:])
			start += 4
		}
		if start > at {
			return p
		}
		for k := 0; !control && k < length && start+k < len(record); k++ {
			if body > 0 {
				stream := binary.BigEndian.Uint32(header[4:])
				if start+k == at {
					p.payload, p.stream, p.offset = true, stream, p.before[stream]
					return p
				}
				p.before[stream]++
				if body--; body == 0 {
					header = header[:0]
				}
				continue
			}
			if start+k == at {
				return p
			}
			if header = append(header, record[start+k]^mask[k%4]); len(header) == 12 {
				if header[1] == 0 { // a data frame
					body = int(binary.BigEndian.Uint32(header[8:]))
				}
				if body == 0 {
					header = header[:0]
				}
			}
		}
		if i = start + length; i > at {
			return p
		}
	}
	return p
}
