// Package mux is the one yamux configuration of both ends of a tunnel, with
// the rules that keep it healthy: writes in chunks, windows that follow the
// path, a session that ends when a frame could not be sent in time. Package
// relay/hub and package agent/link use it; it knows nothing of requests.
package mux

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"

	"sallyport/internal/wsconn"
)

// MaxStreams is how many requests may be under way in one tunnel. It is below
// the backlog, so that opening a stream never blocks on the other end.
const MaxStreams = 192

// backlog must be the same at both ends: each assumes that the other has room
// for as many streams that it has not yet accepted.
const backlog = 256

// writeTimeout bounds how long a frame may wait for its turn and be handed to
// the connection.
const writeTimeout = 30 * time.Second

// closeTimeout is how long the relay waits for the agent to close its half of
// a stream that the relay has closed, before it resets it.
const closeTimeout = time.Minute

// Options of a session.
type Options struct {
	// RTT is the round trip that the handshake measured; it chooses the
	// window. 0: unknown, taken for a long path.
	RTT time.Duration
	Log *zap.Logger
}

// Session is a yamux session over a websocket.
type Session struct {
	*yamux.Session
	conn *wsconn.Conn
}

// Client begins the session of the end that dialled, the agent.
//
// It has no time-out for half-closed streams: when it expires, yamux resets
// the stream, and the reset throws away what the other end has received and
// not yet read. A slow reader of a long answer would lose its end. The relay
// closes every stream it opens, so nothing is left half-closed for ever.
func Client(conn *wsconn.Conn, opts Options) (*Session, error) {
	config := config(opts)
	config.StreamCloseTimeout = 0
	session, err := yamux.Client(&framer{Conn: conn}, config)
	if err != nil {
		return nil, fmt.Errorf("begin yamux: %w", err)
	}
	return &Session{session, conn}, nil
}

// Server begins the session of the end that was dialled, the relay. It closes
// a stream only when it wants no more of it.
func Server(conn *wsconn.Conn, opts Options) (*Session, error) {
	config := config(opts)
	config.StreamCloseTimeout = closeTimeout
	session, err := yamux.Server(&framer{Conn: conn}, config)
	if err != nil {
		return nil, fmt.Errorf("begin yamux: %w", err)
	}
	return &Session{session, conn}, nil
}

func config(opts Options) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog: backlog,
		// The websocket's own heartbeat notices a dead line sooner, and does
		// not queue behind data.
		EnableKeepAlive:        false,
		KeepAliveInterval:      time.Minute, // unused, but may not be 0
		ConnectionWriteTimeout: writeTimeout,
		MaxStreamWindowSize:    Window(opts.RTT),
		// An unaccepted stream would close the whole session, and every stream
		// would cost a goroutine that waits for it.
		StreamOpenTimeout: 0,
		Logger:            zapLogger{opts.Log},
	}
}

// Limits of the window, in bytes. The least is yamux's own.
const (
	leastWindow = 256 << 10
	mostWindow  = 16 << 20
)

// windowRate is the rate that one stream should reach on any path, in bytes a
// second: its rate is at most window/RTT.
const windowRate = 200 << 20

// Window is how much a stream may be sent before its reader has read any of
// it. A short path needs little, and a large window there only makes a queue
// behind which small requests wait; 80 ms need 16 MiB.
func Window(rtt time.Duration) uint32 {
	if rtt <= 0 {
		return mostWindow
	}
	need := rtt.Seconds() * windowRate
	window := uint32(leastWindow)
	for float64(window) < need && window < mostWindow {
		window *= 2
	}
	return window
}

// OpenStream opens a stream. It can block where the other end does not accept,
// so callers keep a limit below the backlog.
func (s *Session) OpenStream() (*Stream, error) {
	stream, err := s.Session.OpenStream()
	if err != nil {
		s.check(err)
		return nil, err
	}
	return &Stream{stream, s}, nil
}

// AcceptStream waits for a stream that the other end opens.
func (s *Session) AcceptStream() (*Stream, error) {
	stream, err := s.Session.AcceptStream()
	if err != nil {
		s.check(err)
		return nil, err
	}
	return &Stream{stream, s}, nil
}

// Close ends the session and all its streams. The websocket is closed first,
// which takes a moment where it is done in order: yamux, once told to close,
// has its readers spin until the connection is gone.
func (s *Session) Close() error {
	_ = s.conn.Close() // never fails
	return s.Session.Close()
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

var _ net.Conn = (*Stream)(nil)
