// Package mux is the one yamux configuration of both ends of a tunnel, with
// the rules that keep it healthy: writes in chunks, windows that follow the
// path, a session that ends when a frame could not be sent in time. Package
// relay/hub and package agent/link use it; it knows nothing of requests.
package mux

import (
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
// the connection. On 64 kbit/s MaxStreams chunks take 13 minutes, and a tunnel
// that is busy is not to be ended; on one that does not move, the connection's
// own time-outs end all waiting.
const writeTimeout = 15 * time.Minute

// closeTimeout is how long the relay waits for the agent to close its half of
// a stream that the relay has closed, before it resets it.
const closeTimeout = time.Minute

// Options of a session.
type Options struct {
	// RTT is the round trip that the handshake measured; it chooses the
	// window. 0: unknown, taken for a long path.
	RTT time.Duration
	Log *zap.Logger
	// Budget bounds, with all sessions that have the same, what large windows
	// may cost; nil: nothing does.
	Budget *Budget
	// OnEnd is called once, in a goroutine of its own, when the connection can
	// no longer be read: the session has ended, or is about to. Close is still
	// to be called.
	OnEnd func()
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
	s := newSession(conn, opts)
	close(s.framer.handover) // nobody else reads
	inner, err := yamux.Client(s.framer, config)
	if err != nil {
		return nil, fmt.Errorf("begin yamux: %w", err)
	}
	s.inner = inner
	return s, nil
}

// Server begins the session of the end that was dialled, the relay. Only this
// end opens streams, and it closes a stream only when it wants no more of it.
func Server(conn *wsconn.Conn, opts Options) *Session {
	s := newSession(conn, opts)
	conn.Rest(s.woken)
	return s
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

// Limits of the window, in bytes. The least is yamux's own; with it, one download
// on a short path waits for window updates now and then.
const (
	leastWindow = 256 << 10
	shortWindow = 1 << 20
	mostWindow  = 32 << 20
)

// windowRate is the rate that one stream should reach on any path, in bytes a
// second: its rate is at most window/RTT, and half of that where the other end
// waits at the end of each window: yamux announces what was read once it is half
// a window. So it is more than a path should need.
const windowRate = 300 << 20

// Window is how much a stream may be sent before its reader has read any of
// it. A short path needs little, and a large window there only makes a queue
// behind which small requests wait; 80 ms need 32 MiB.
func Window(rtt time.Duration) uint32 {
	if rtt <= 0 {
		return mostWindow
	}
	need := rtt.Seconds() * windowRate
	window := uint32(shortWindow)
	for float64(window) < need && window < mostWindow {
		window *= 2
	}
	return window
}

var _ net.Conn = (*Stream)(nil)
