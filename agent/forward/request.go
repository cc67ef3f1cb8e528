package forward

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// headLimit reads from the stream, and fails once more came than a header may
// measure. A negative count lifts the limit, for the body.
type headLimit struct {
	stream net.Conn
	left   int
}

func (h *headLimit) Read(p []byte) (int, error) {
	if h.left < 0 {
		return h.stream.Read(p)
	}
	if h.left == 0 {
		return 0, errHeaderTooLarge
	}
	n, err := h.stream.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

var errBodyClosed = errors.New("request body read after it was closed")

// requestBody is a request's body being streamed. Closing it does not wait for
// the rest, as net/http's own does: it only gives the stream over to the
// watcher, which throws the rest away.
type requestBody struct {
	from io.ReadCloser
	over chan struct{} // closed when the transport is done with the stream

	// mu guards the following.
	mu      sync.Mutex
	reading bool
	closed  bool
	ended   bool
	failed  error
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.closed || b.failed != nil {
		defer b.mu.Unlock()
		if b.failed != nil {
			return 0, b.failed
		}
		return 0, errBodyClosed
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.from.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.failed = false, err
	if err != nil || b.closed {
		b.finish()
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.reading {
		b.finish()
	}
	return nil
}

// finish hands the stream over, once; mu is held.
func (b *requestBody) finish() {
	if !b.ended {
		b.ended = true
		close(b.over)
	}
}

// hopByHop are the fields that concern one connection only (RFC 9110, section
// 7.6.1), and those of old that mean the same.
var hopByHop = [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// stripHopByHop removes what concerns one connection only, what the Connection
// field names included.
func stripHopByHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}
