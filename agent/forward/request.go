package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// headLimit reads from the stream. While a header is read, it fails once more
// came than a header may measure, or when the header takes too long: a relay
// writes it in one go.
type headLimit struct {
	stream  net.Conn
	ctx     context.Context // of the stream
	left    int             // <0: no limit
	bounded bool            // a deadline is to be set
	set     bool            // and is
}

// header begins the header of a request.
func (h *headLimit) header() { h.left, h.bounded = headerLimit, true }

// body begins what follows the header, which may take its time.
func (h *headLimit) body() error {
	h.left, h.bounded = -1, false
	if !h.set {
		return nil // it was there already, as it mostly is
	}
	h.set = false
	if err := h.stream.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("unbound the time after the header: %w", err)
	}
	h.stayWoken()
	return nil
}

// stayWoken sets the deadline anew that was to wake this reader, where another
// may just have undone it.
func (h *headLimit) stayWoken() {
	if h.ctx.Err() != nil {
		_ = h.stream.SetReadDeadline(past)
	}
}

func (h *headLimit) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, errHeaderTooLarge
	}
	if h.bounded && !h.set {
		h.set = true
		if err := h.stream.SetReadDeadline(time.Now().Add(headerTimeout)); err != nil {
			return 0, fmt.Errorf("bound the time for the header: %w", err)
		}
		h.stayWoken()
	}
	if h.left < 0 {
		return h.stream.Read(p)
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
	left    int64 // how much more may be read; -1: no limit
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
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			n, err = 0, errBodyTooLarge
		}
	}
	b.reading, b.failed = false, err
	if err != nil || b.closed {
		b.finish()
	}
	return n, err
}

// whole reports whether the body was read to its end, so that what follows on
// the stream is another request.
func (b *requestBody) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed == io.EOF
}

// tooLarge reports whether the body was longer than it may be.
func (b *requestBody) tooLarge() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Is(b.failed, errBodyTooLarge)
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
