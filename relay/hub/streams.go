package hub

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/mux"
)

// mostKept is how many streams of a tunnel are kept for later requests. Each
// costs about 5 KB, most of it at the agent.
const mostKept = 64

// keepFor is how long a stream is kept that nobody needs, and keepInCrowd where
// many tunnels are awake.
const (
	keepFor     = 30 * time.Second
	keepInCrowd = time.Second
)

// keptStreams are the streams of a tunnel on which the last request has been
// answered whole, and that wait for the next. Opening a stream, having it
// accepted and closing it at both ends costs five frames; a request on a kept
// one costs two.
type keptStreams struct {
	mu   sync.Mutex // guards the following
	list []keptStream
}

type keptStream struct {
	*mux.Stream
	since time.Time
}

// any reports whether there is one.
func (k *keptStreams) any() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.list) > 0
}

// take returns the stream that was kept last, so that those which a burst has
// left behind grow old; nil: there is none.
func (k *keptStreams) take() *mux.Stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := len(k.list) - 1
	if last < 0 {
		return nil
	}
	s := k.list[last].Stream
	k.list[last] = keptStream{}
	k.list = k.list[:last]
	return s
}

// put keeps a stream, and reports whether there was room.
func (k *keptStreams) put(s *mux.Stream, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) == mostKept {
		return false
	}
	k.list = append(k.list, keptStream{s, now})
	return true
}

// old takes out the streams that have been kept since before a time.
func (k *keptStreams) old(before time.Time) []*mux.Stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for n < len(k.list) && k.list[n].since.Before(before) {
		n++
	}
	if n == 0 {
		return nil
	}
	old := make([]*mux.Stream, n)
	for i := range old {
		old[i] = k.list[i].Stream
	}
	// Lets go of what a burst needed: not of k.list[:0:0], which would hold on to
	// the streams and with them to sessions that are long at rest.
	k.list = append([]keptStream(nil), k.list[n:]...)
	return old
}

// stream is a stream for one request: one that was kept, or a new one. An error
// means that nothing can have been sent.
func (t *tunnel) stream(ctx context.Context) (*mux.Stream, error) {
	if !t.session.IsClosed() {
		if s := t.kept.take(); s != nil {
			return s, nil
		}
	}
	return t.session.OpenStreamContext(ctx)
}

// closeStreams closes streams that were kept. It may block while a line is
// full.
func closeStreams(streams []*mux.Stream) {
	for _, s := range streams {
		_ = s.Close() // it may have ended with its tunnel
	}
}
