package gateway

import (
	"errors"
	"io"
	"sync"
)

// replayLimit is how much of a request's body is kept for a second attempt: the
// forms and documents of ordinary calls. A longer one is streamed once.
const replayLimit = 64 << 10

var errDetached = errors.New("this attempt is over")

// replay lets a request's body be sent again from its beginning. It reads the
// source as the first attempt asks for it and keeps what it has read, up to
// replayLimit.
//
// A transport may still be reading for an attempt whose answer has come: what
// it reads is kept for the next attempt, and it gets nothing more.
type replay struct {
	reading sync.Mutex // held while the source is read
	src     io.Reader

	mu   sync.Mutex // guards the following
	kept []byte
	lost bool // more than replayLimit was read, or nothing is kept at all
	read bool // something was, or is just being
	end  error
	last *attempt
}

func newReplay(src io.Reader, keep bool) *replay {
	return &replay{src: src, lost: !keep}
}

// attempt is the body for the next attempt.
func (b *replay) attempt() *attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = &attempt{from: b}
	return b.last
}

// getBody is http.Request.GetBody: a road that has sent nothing yet may ask
// for the body once more.
func (b *replay) getBody() (io.ReadCloser, error) {
	if !b.rewind() {
		return nil, errDetached
	}
	return b.attempt(), nil
}

// rewind ends the last attempt and reports whether there can be another. A
// request without a body can always be sent again.
func (b *replay) rewind() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost && b.read {
		return false
	}
	if b.last != nil {
		b.last.over = true
	}
	return true
}

// unread reports whether a transport may still be reading the source, whose
// end it has not seen.
func (b *replay) unread() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last != nil && b.end == nil
}

// finish ends all reading of the source, which a handler may not do once it has
// returned: interrupt makes a read return that waits for the caller.
func (b *replay) finish(interrupt func()) {
	if b == nil {
		return
	}
	b.mu.Lock()
	if b.last != nil {
		b.last.over = true
	}
	b.lost, b.kept = true, nil
	b.mu.Unlock()
	if !b.reading.TryLock() {
		interrupt()
		b.reading.Lock()
	}
	b.reading.Unlock()
}

// attempt reads the body for one attempt.
type attempt struct {
	from *replay
	at   int  // bytes read of what is kept
	over bool // guarded by from.mu
}

func (a *attempt) Read(p []byte) (int, error) {
	b := a.from
	if n, err, done := a.fromKept(p); done {
		return n, err
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	// Another attempt may have read on while this one waited.
	if n, err, done := a.fromKept(p); done {
		return n, err
	}
	b.mu.Lock()
	b.read = true
	b.mu.Unlock()
	n, err := b.src.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = err
	switch {
	case b.lost:
	case len(b.kept)+n > replayLimit && !a.over:
		b.kept, b.lost = nil, true
	default:
		b.kept = append(b.kept, p[:n]...)
	}
	a.at += n
	if a.over {
		return 0, errDetached
	}
	return n, err
}

// fromKept reads what an earlier attempt has read.
func (a *attempt) fromKept(p []byte) (n int, err error, done bool) {
	b := a.from
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case a.over:
		return 0, errDetached, true
	case !b.lost && a.at < len(b.kept):
		n = copy(p, b.kept[a.at:])
		a.at += n
		return n, nil, true
	case b.end != nil:
		return 0, b.end, true
	default:
		return 0, nil, false
	}
}

// Close ends the attempt. The source belongs to the server.
func (a *attempt) Close() error {
	a.from.mu.Lock()
	defer a.from.mu.Unlock()
	a.over = true
	return nil
}
