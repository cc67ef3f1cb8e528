package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// tunnel is one websocket to the relay, its handshake done.
type tunnel struct {
	link    *Link
	slot    int
	welcome *proto.Welcome
	since   time.Time
	rtt     time.Duration // as the handshake measured it
	conn    *wsconn.Conn
	session *mux.Session

	drain    chan time.Duration // another tunnel is wanted, within this time
	ended    chan struct{}      // closed when the session is gone and nothing runs any more
	ctx      context.Context    // of the requests
	cancel   context.CancelFunc
	requests sync.WaitGroup
	own      sync.WaitGroup // what beats

	inFlight atomic.Int64 // requests
	streams  atomic.Int64 // being served or refused

	mu      sync.Mutex // guards the following
	latency time.Duration
}

// accept takes in the streams that the relay opens until the session ends.
func (t *tunnel) accept() {
	defer close(t.ended)
	for {
		stream, err := t.session.AcceptStream()
		if err != nil {
			break
		}
		// One that is not accepted would end the whole session, so it is
		// accepted and refused.
		serve := t.serve
		if t.streams.Add(1) > int64(t.link.opts.MaxStreams) {
			serve = t.refuse
		}
		t.requests.Go(func() {
			defer t.streams.Add(-1)
			defer stream.Close()
			serve(stream)
		})
	}
	_ = t.session.Close()
	t.cancel()
	t.requests.Wait()
	t.own.Wait()
}

func (t *tunnel) serve(stream *mux.Stream) { t.link.opts.Serve(t.ctx, &servedStream{stream, t}) }

// refuseTime bounds the answer to a request that is one too many.
const refuseTime = 10 * time.Second

func (t *tunnel) refuse(stream *mux.Stream) {
	if t.link.opts.Refuse == nil {
		return
	}
	if stream.SetDeadline(time.Now().Add(refuseTime)) == nil {
		t.link.opts.Refuse(stream)
	}
}

// beat gives the relay a sign of life at least once a heartbeat. The answers to
// its pings are not enough: on a slow line a ping arrives behind all that was
// sent before it, and this end may have nothing else to say meanwhile.
func (t *tunnel) beat(heartbeat time.Duration) {
	ticker := time.NewTicker(heartbeat / 2) // a sign is left out where something was sent since the last tick
	defer ticker.Stop()
	for {
		select {
		case <-t.session.Ended():
			return
		case <-ticker.C:
			t.conn.SignOfLife()
		}
	}
}

// servedStream is a stream that counts the requests under way on it: the relay
// keeps streams open from one request to the next.
type servedStream struct {
	*mux.Stream
	tunnel *tunnel
}

// Busy notes that a request begins (+1) or has ended (-1).
func (s *servedStream) Busy(delta int) { s.tunnel.inFlight.Add(int64(delta)) }

// told takes in a control message. It runs in the tunnel's reader: it must not
// block.
func (t *tunnel) told(raw []byte) error {
	m, err := proto.DecodeControl(raw)
	if err != nil {
		t.link.log.Error("relay broke the protocol", zap.Error(err))
		return err
	}
	switch m := m.(type) {
	case *proto.Drain:
		t.replace(m.Within())
	case *proto.Rest:
		if t.streams.Load() == 0 { // else it is asked again
			t.conn.SendTextAlone(raw)
		}
	case *proto.PingTimes:
		t.mu.Lock()
		t.latency = m.RTT()
		t.mu.Unlock()
	case nil: // of a newer version
	default:
		if t.link.opts.Hear != nil {
			t.link.opts.Hear(m, peer{t})
		}
	}
	return nil
}

// peer is the relay at the end of a tunnel.
type peer struct{ tunnel *tunnel }

// Tell implements Peer.
func (p peer) Tell(m proto.Control) error {
	raw, err := proto.EncodeControl(m)
	if err != nil {
		return err
	}
	return p.tunnel.conn.SendText(raw)
}

// Ended implements Peer.
func (p peer) Ended() <-chan struct{} {
	p.tunnel.mu.Lock()
	session := p.tunnel.session
	p.tunnel.mu.Unlock()
	if session == nil { // there was never one
		return past
	}
	return session.Ended()
}

// past is closed.
var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// replace asks for another tunnel in place of this one.
func (t *tunnel) replace(within time.Duration) {
	select {
	case t.drain <- within:
	default: // asked already
	}
}

// handOver ends a tunnel that was to be replaced, now that another
// one is open. When its last request has ended only the relay knows, so there
// is no hurry before ctx ends.
func (t *tunnel) handOver(ctx context.Context) {
	t.tell(&proto.Drain{Replaced: true, Reason: "another tunnel is open"})
	select {
	case <-t.session.Ended():
	case <-ctx.Done():
	}
	t.finish()
}

// tell sends the relay a control message. It may fail where the tunnel has just
// broken, which is then gone anyway.
func (t *tunnel) tell(m proto.Control) {
	if raw, err := proto.EncodeControl(m); err == nil {
		_ = t.conn.SendText(raw)
	}
}

// finish ends the tunnel in order: it asks the relay to, which closes it when
// what is under way has ended. After the stop time-out it is closed anyway. It
// returns when nothing of the tunnel is left.
func (t *tunnel) finish() {
	t.tell(&proto.Drain{Reason: "the agent leaves"})
	timer := time.NewTimer(t.link.opts.StopTimeout)
	defer timer.Stop()
	select {
	case <-t.session.Ended():
	case <-timer.C:
		t.link.log.Warn("requests under way were cut off", zap.Int("slot", t.slot))
	}
	t.cancel()
	_ = t.session.Close()
	<-t.ended
}

// why says why the tunnel ended.
func (t *tunnel) why() error {
	if t.conn.ClosedInOrder() {
		return farewell(t.conn.Farewell())
	}
	if cause := t.conn.Cause(); cause != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(cause, &timeout) && timeout.Timeout() {
			return errors.New("no sign of life from the relay; the connection is dead")
		}
		return cause
	}
	return io.ErrUnexpectedEOF
}

// snapshot is the tunnel for the status.
func (t *tunnel) snapshot() TunnelStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TunnelStatus{
		ID: t.welcome.TunnelID, Since: t.since, InFlight: int(t.inFlight.Load()),
		LatencyMs: float64(t.latency.Microseconds()) / 1000,
	}
}
