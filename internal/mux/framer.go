package mux

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"sallyport/internal/wsconn"
)

// headerSize is the length of a yamux frame's header: version, type, 2 bytes
// of flags, 4 of stream id, 4 of length, big endian.
const headerSize = 12

// typeData is the type of a frame whose length is that of the body behind it.
const typeData = 0

// smallFrame is up to which length of its body a frame is sent by yamux's own
// goroutine. While that one waits for the kernel it takes in no other frame, so
// a longer one is left to the websocket's.
const smallFrame = 4 << 10

// framer is what yamux reads from and writes to. yamux writes the header of a
// frame and its body one after the other, from one goroutine; the header of a
// frame that has a body is held back until the body is there, so that the two
// never travel apart.
//
// A frame that nobody else is about to follow leaves at once, without waking a
// goroutine for it; where more are on their way, they gather and share a
// message. One request at a time is then as quick as it can be, and many at
// once cost few messages.
type framer struct {
	*wsconn.Conn
	session *Session
	body    bool // the next Write is the body of the header that is held back

	handover chan struct{} // closed when yamux may read
	reads    bool          // it does
	resting  atomic.Bool   // yamux is done, and the connection goes on

	turn    sync.Mutex       // held while a frame is written, where others than yamux write some
	reduced [headerSize]byte // a header that is not sent as yamux made it; guarded by turn
}

func (f *framer) Read(p []byte) (int, error) {
	if !f.reads {
		<-f.handover
		f.reads = true
	}
	n, err := f.Conn.Read(p)
	switch {
	case err == wsconn.ErrRest:
		f.resting.Store(true)
	case err != nil:
		f.session.end()
	}
	return n, err
}

// Close is how yamux ends a session, for instance after a faulty frame; nothing
// is read any more then, unless it ended so that the connection can rest.
func (f *framer) Close() error {
	if f.resting.Load() {
		f.Conn.Rest(f.session.woken)
		return nil
	}
	f.session.end()
	return f.Conn.Close()
}

func (f *framer) Write(p []byte) (int, error) {
	body := f.body // p is one
	f.body = !body && len(p) == headerSize && p[1] == typeData && binary.BigEndian.Uint32(p[8:]) > 0
	if w := f.session.windows; w != nil {
		if !body {
			f.turn.Lock()
		}
		if !f.body {
			defer f.turn.Unlock()
		}
		if !body && len(p) == headerSize && p[1] == typeWindow {
			copy(f.reduced[:], p)
			binary.BigEndian.PutUint32(f.reduced[8:], w.announced(p))
			p = f.reduced[:]
		}
	}
	switch {
	case f.body:
		n, err := f.WriteHeld(p)
		if err != nil && f.session.windows != nil {
			f.turn.Unlock() // no body will follow
		}
		return n, err
	case f.session.writers.Load() > 1 || len(p) > smallFrame:
		return f.Conn.Write(p)
	default:
		return f.WriteNow(p)
	}
}

// announce sends a frame of its own that lets the other end send n bytes more
// on a stream.
func (f *framer) announce(id, n uint32) {
	header := make([]byte, headerSize)
	header[1] = typeWindow
	binary.BigEndian.PutUint32(header[4:], id)
	binary.BigEndian.PutUint32(header[8:], n)
	f.turn.Lock()
	defer f.turn.Unlock()
	_, _ = f.Conn.Write(header) // its failure is the connection's end
}
