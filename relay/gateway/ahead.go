package gateway

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aheadAfter is how long a request may be under way before its body is read
	// ahead: nobody has asked for it then, since the agent is away, or a sign-in
	// is slow.
	aheadAfter = 50 * time.Millisecond
	// aheadLimit is how much is read ahead, in bytes.
	aheadLimit = 16 << 10
)

// ahead reads a caller's body before it is asked for, where that takes long.
// The server notices that a caller has left only once it has the whole of his
// request; a short body that nobody reads would have him waited for in vain,
// and then sent for in his absence.
type ahead struct {
	src   io.Reader
	timer *time.Timer
	asked atomic.Bool // somebody reads, or nobody ever will

	mu   sync.Mutex // held while src is read; guards the following
	kept []byte     // read, and not yet given to anybody
	end  error
}

func newAhead(src io.Reader) *ahead {
	a := &ahead{src: src}
	a.timer = time.AfterFunc(aheadAfter, a.fill)
	return a
}

func (a *ahead) fill() {
	buf := make([]byte, aheadLimit/4) // most bodies are far shorter, and what is kept is no longer than they
	for a.fillOnce(buf) {
	}
}

// fillOnce reads once and reports whether there is more to do.
func (a *ahead) fillOnce(buf []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked.Load() || a.end != nil || len(a.kept) >= aheadLimit {
		return false
	}
	n, err := a.src.Read(buf[:min(len(buf), aheadLimit-len(a.kept))])
	a.kept, a.end = append(a.kept, buf[:n]...), err
	return true
}

func (a *ahead) Read(p []byte) (int, error) {
	if !a.asked.Swap(true) {
		a.timer.Stop()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kept) > 0 {
		n := copy(p, a.kept)
		a.kept = a.kept[n:]
		return n, nil
	}
	if a.end != nil {
		return 0, a.end
	}
	return a.src.Read(p)
}

// finish ends the reading ahead, which a handler may not do once it has
// returned: interrupt makes a read return that waits for the caller.
func (a *ahead) finish(interrupt func()) {
	if a == nil {
		return
	}
	a.asked.Store(true)
	a.timer.Stop()
	if !a.mu.TryLock() {
		interrupt()
		a.mu.Lock()
	}
	a.mu.Unlock()
}
