package link

import (
	"context"
	"errors"
	"io"
	"sync"
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
	control *mux.Stream

	drain    chan time.Duration // the relay asks for another tunnel, within this time
	ended    chan struct{}      // closed when the session is gone and nothing runs any more
	ctx      context.Context    // of the requests
	cancel   context.CancelFunc
	requests sync.WaitGroup
	reader   sync.WaitGroup // of the relay's control stream

	mu       sync.Mutex // guards the following
	latency  time.Duration
	inFlight int
	leaving  bool          // no more requests are wanted
	idle     chan struct{} // closed when it is leaving and nothing is under way
}

// accept takes in the streams that the relay opens until the session ends.
func (t *tunnel) accept() {
	defer close(t.ended)
	first := true
	for {
		stream, err := t.session.AcceptStream()
		if err != nil {
			break
		}
		if first {
			first = false
			t.reader.Go(func() { t.listen(stream) })
			continue
		}
		t.begin()
		t.requests.Go(func() {
			defer t.finished()
			defer stream.Close()
			t.link.opts.Serve(t.ctx, stream)
		})
	}
	_ = t.session.Close()
	t.cancel()
	t.requests.Wait()
	t.reader.Wait()
}

func (t *tunnel) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight++
}

func (t *tunnel) finished() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight--
	t.checkIdle()
}

// checkIdle closes idle where that is due; mu is held.
func (t *tunnel) checkIdle() {
	if t.leaving && t.inFlight == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// leave notes that the tunnel is to end, and returns the channel that tells
// when nothing is under way.
func (t *tunnel) leave() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle
	t.leaving = true
	t.checkIdle()
	return idle
}

// listen reads the relay's control stream.
func (t *tunnel) listen(stream *mux.Stream) {
	defer stream.Close()
	messages := proto.NewControlReader(stream)
	for {
		m, err := messages.Next()
		if err != nil {
			if errors.Is(err, proto.ErrControl) {
				t.link.log.Error("relay broke the protocol", zap.Error(err))
				_ = t.session.Close()
			}
			return
		}
		switch m := m.(type) {
		case *proto.Drain:
			select {
			case t.drain <- m.Within():
			default: // asked already
			}
		case *proto.PingTimes:
			t.mu.Lock()
			t.latency = m.RTT()
			t.mu.Unlock()
		}
	}
}

// finish ends the tunnel in order: the relay is asked to send nothing more
// down it, what is under way may end within the stop time-out, and then it is
// closed. It is called once, and returns when nothing of the tunnel is left.
func (t *tunnel) finish() {
	// Both may fail where the tunnel has just broken; it is then gone anyway.
	_ = proto.WriteControl(t.control, &proto.Drain{Reason: "the agent leaves"})
	_ = t.session.GoAway()
	timer := time.NewTimer(t.link.opts.StopTimeout)
	defer timer.Stop()
	// Once a ping has come back, the relay knows, and what it opened before it
	// knew has arrived here.
	var pinging sync.WaitGroup
	known := make(chan struct{})
	pinging.Go(func() {
		_, _ = t.session.Ping() // ends with the session, too
		close(known)
	})
	select {
	case <-known:
		select {
		case <-t.leave():
		case <-t.session.CloseChan():
		case <-timer.C:
			t.link.log.Warn("requests under way were cut off", zap.Int("slot", t.slot))
		}
	case <-t.session.CloseChan():
	case <-timer.C:
	}
	t.cancel()
	_ = t.session.Close()
	pinging.Wait()
	<-t.ended
}

// why says why the tunnel ended.
func (t *tunnel) why() error {
	if t.conn.ClosedInOrder() {
		return errors.New("the relay closed the tunnel")
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
		ID: t.welcome.TunnelID, Since: t.since, InFlight: t.inFlight,
		LatencyMs: float64(t.latency.Microseconds()) / 1000,
	}
}
