package mux

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"sallyport/internal/wsconn"
)

// Session is a yamux session over a websocket.
//
// A relay holds thousands of tunnels of which most are idle, and a yamux
// session costs two goroutines and several buffers. So the relay's end begins
// it with the first stream. Until then the connection rests: it is read for the
// sake of heartbeats and control messages only, and then handed over to yamux.
// When no stream has been open for a while, and the agent agrees that nothing
// is under way, it rests again.
type Session struct {
	conn    *wsconn.Conn
	opts    Options
	ended   chan struct{} // closed when nothing can be read any more
	ending  sync.Once
	writers atomic.Int32 // how many are handing frames to yamux now; see framer
	windows *windows     // nil: every stream has the whole window

	mu      sync.Mutex     // guards the following
	inner   *yamux.Session // nil while the connection rests
	framer  *framer        // of inner, or of the next one
	handed  bool           // yamux reads: framer.handover is closed
	opens   int            // how many streams are being opened
	unused  bool           // no stream was open when MayRest looked last
	asked   int64          // the question whether to rest that is open; 0: none
	askings int64          // how many questions there were
	closed  bool

	opening sync.Mutex           // guards the following
	open    map[*Stream]struct{} // whose own half is not closed
}

func newSession(conn *wsconn.Conn, opts Options) *Session {
	s := &Session{conn: conn, opts: opts, ended: make(chan struct{}), windows: newWindows(Window(opts.RTT), opts.Budget)}
	s.framer = s.newFramer()
	return s
}

func (s *Session) newFramer() *framer {
	return &framer{Conn: s.conn, session: s, handover: make(chan struct{})}
}

// woken is called when a binary message has come or nothing can be read any
// more: from here on yamux reads, if there is something for it. Close waits for
// it, by ended or by yamux, which waits for the hand-over.
func (s *Session) woken() {
	err := s.conn.Await() // returns at once
	s.mu.Lock()
	var fresh *yamux.Session
	if err == nil {
		// Where that is the beginning, the agent speaks out of turn, since it
		// opens no streams; yamux answers it as it should.
		_, fresh, err = s.begin()
	}
	if err != nil && s.inner == nil {
		s.end()
	}
	framer := s.framer
	s.handed = true
	s.mu.Unlock()
	s.refuseStreams(fresh)
	close(framer.handover)
}

// begin returns the yamux session of the relay's end, and where it has just
// begun, once more as fresh, for refuseStreams; mu is held.
func (s *Session) begin() (inner, fresh *yamux.Session, err error) {
	switch {
	case s.inner != nil:
		return s.inner, nil, nil
	case s.closed, s.over():
		return nil, nil, yamux.ErrSessionShutdown
	}
	config := config(s.opts)
	config.StreamCloseTimeout = closeTimeout
	if s.inner, err = yamux.Server(s.framer, config); err != nil {
		return nil, nil, fmt.Errorf("begin yamux: %w", err)
	}
	return s.inner, s.inner, nil
}

// refuseStreams tells an agent that it is to open no streams: those that it
// opened would fill memory, since nobody accepts them. It blocks while the line
// does; nil is no session.
func (s *Session) refuseStreams(fresh *yamux.Session) {
	if fresh != nil {
		_ = fresh.GoAway() // an error is the connection's end
	}
}

// end notes that nothing can be read any more.
func (s *Session) end() {
	s.ending.Do(func() {
		close(s.ended)
		if s.windows != nil {
			s.windows.end()
		}
		s.release()
		if s.opts.OnEnd != nil {
			go s.opts.OnEnd()
		}
	})
}

// release lets whoever waits for a stream of the session go. yamux itself has
// them try again and again from here on until it has closed their stream, which
// takes minutes where hundreds do so.
func (s *Session) release() {
	s.opening.Lock()
	defer s.opening.Unlock()
	for stream := range s.open {
		stream.release()
	}
	s.open = nil
}

// opened wraps a stream of yamux.
func (s *Session) opened(inner *yamux.Stream, framer *framer) *Stream {
	stream := &Stream{inner, s, framer}
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.over() {
		stream.release()
		return stream
	}
	if s.open == nil {
		s.open = make(map[*Stream]struct{})
	}
	s.open[stream] = struct{}{}
	return stream
}

func (s *Session) closing(stream *Stream) {
	s.opening.Lock()
	defer s.opening.Unlock()
	delete(s.open, stream)
}

func (s *Session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// OpenStream opens a stream. It can block where the other end does not accept,
// so callers keep a limit below the backlog.
func (s *Session) OpenStream() (*Stream, error) {
	s.mu.Lock()
	inner, fresh, err := s.begin()
	framer := s.framer
	s.asked, s.unused = 0, false
	s.opens++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.opens--
		s.mu.Unlock()
	}()
	if err != nil {
		return nil, err
	}
	s.refuseStreams(fresh)
	s.writers.Add(1)
	defer s.writers.Add(-1)
	stream, err := inner.OpenStream()
	if err != nil {
		s.check(err)
		return nil, err
	}
	return s.opened(stream, framer), nil
}

// AcceptStream waits for a stream that the other end opens. It is for the
// agent's end.
func (s *Session) AcceptStream() (*Stream, error) {
	stream, err := s.inner.AcceptStream()
	if err != nil {
		s.check(err)
		return nil, err
	}
	return s.opened(stream, s.framer), nil
}

// SetRTT says what the round trip has turned out to be, by which the windows are
// chosen when the session next wakes: in a crowd of handshakes it was measured
// with all the waiting.
func (s *Session) SetRTT(rtt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner != nil || s.windows == nil { // in use, or as small as can be
		return
	}
	s.opts.RTT = rtt
	s.windows.setMost(Window(rtt))
}

// Awake reports whether the session does not rest.
func (s *Session) Awake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner != nil
}

// MayRest is to be called now and then. It reports whether the other end should
// be asked to let the session rest, and the number of the question; see
// proto.Rest. A session must have been unused the last time, too, unless that is
// to be so at once; then, however, no question is put a second time.
func (s *Session) MayRest(atOnce bool) (n int64, ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy() {
		s.unused = false
		return 0, false
	}
	switch {
	case atOnce && s.asked != 0: // the answer may be on its way
		return 0, false
	case !s.unused && !atOnce: // it may just have been used
		s.unused = true
		return 0, false
	}
	s.askings++
	s.asked = s.askings
	return s.asked, true
}

// busy reports whether there is a stream, or nothing that could rest; mu is held.
// While yamux does not read yet, its reader could not let go: an agent that has
// sent no frame has not even accepted what was opened.
func (s *Session) busy() bool {
	return s.inner == nil || !s.handed || s.closed || s.opens > 0 || s.inner.NumStreams() > 0
}

// Rested takes in that the other end agrees. It is to be called in the reader,
// by OnText, which then returns what Rested returns.
func (s *Session) Rested(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == 0 || n != s.asked || s.busy() {
		return nil // it was not asked, or a stream was opened meanwhile
	}
	s.inner, s.asked, s.handed = nil, 0, false
	s.framer = s.newFramer()
	s.opening.Lock()
	s.open = nil // empty, but not small
	s.opening.Unlock()
	if s.windows != nil {
		s.windows.rest()
	}
	return wsconn.ErrRest
}

// Ended is closed when nothing can be read any more.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// IsClosed reports whether the session is gone, or about to be.
func (s *Session) IsClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.over() || s.inner != nil && s.inner.IsClosed()
}

// Close ends the session and all its streams. The websocket is closed first,
// which takes a moment where it is done in order: yamux, once told to close,
// has its readers spin until the connection is gone.
func (s *Session) Close() error {
	_ = s.conn.Close() // never fails
	s.mu.Lock()
	s.closed = true
	inner := s.inner
	s.mu.Unlock()
	if inner == nil {
		<-s.ended
		return nil
	}
	return inner.Close()
}

// Conn is the websocket under the session.
func (s *Session) Conn() *wsconn.Conn { return s.conn }

// check ends the session after a frame that was not sent in time: it may yet
// be sent, and the windows of the two ends would drift apart.
func (s *Session) check(err error) {
	if errors.Is(err, yamux.ErrConnectionWriteTimeout) {
		_ = s.Close()
	}
}
