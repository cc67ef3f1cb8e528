package hub

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
	"sallyport/relay/event"
)

// tunnel is one websocket of an instance, its handshake done.
type tunnel struct {
	hub         *Hub
	hello       *proto.Hello
	enrolled    Enrolled
	remote      string
	connectedAt time.Time
	clockOffset time.Duration
	sequence    uint64 // set when it is registered
	conn        *wsconn.Conn
	session     *mux.Session
	control     *mux.Stream // written by tell only
	telling     sync.Mutex  // held while control is written to

	slots chan struct{} // one token for each request under way

	mu       sync.Mutex // guards the following
	retired  bool       // no new requests
	idle     chan struct{}
	rtt      time.Duration // smoothed
	told     time.Duration // the rtt that the agent and the pages know
	reason   string        // why this end closed it
	inFlight int
}

// run is the life of a tunnel after its handshake.
func (h *Hub) run(t *tunnel) {
	if !h.register(t) {
		t.close("the relay was stopped")
		return
	}
	h.log.Info("tunnel up",
		zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID), zap.Int("slot", t.hello.Slot),
		zap.String("hostname", t.hello.Hostname), zap.String("version", t.hello.Version), zap.String("remote", t.remote),
		zap.Duration("rtt", t.latency()))
	if off := t.clockOffset.Abs(); off > clockTolerance {
		h.log.Warn("clock of the agent is off",
			zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID), zap.Duration("ahead", t.clockOffset))
	}
	if h.revokedMeanwhile(t) {
		t.close("the enrolment was revoked")
	}
	h.record(t)
	err := t.listen()
	h.unregister(t)
	_ = t.session.Close()
	reason := t.end(err)
	h.log.Info("tunnel down",
		zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID), zap.Int("slot", t.hello.Slot),
		zap.String("reason", reason), zap.Duration("lived", h.opts.Clock().Sub(t.connectedAt)))
	h.recordGone(t, reason)
}

// revokedMeanwhile reports whether the enrolment was revoked after the
// handshake had looked it up and before the tunnel was registered: Disconnect
// found nothing to close then. From here on it does.
func (h *Hub) revokedMeanwhile(t *tunnel) bool {
	ctx, cancel := context.WithTimeout(h.life, directoryTimeout)
	defer cancel()
	_, err := h.opts.Directory.Enrolled(ctx, t.hello.AgentID, t.hello.InstanceID)
	return errors.Is(err, ErrNotEnrolled)
}

// listen reads the agent's control stream until the tunnel ends.
func (t *tunnel) listen() error {
	stream, err := t.session.AcceptStream()
	if err != nil {
		return err
	}
	messages := proto.NewControlReader(stream)
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		if _, ok := m.(*proto.Drain); ok {
			// Only this end knows when the last request has ended: the agent
			// can't tell whether one more is on its way to it.
			t.leave("the agent closed its tunnel")
			t.hub.changed(t)
		}
	}
}

// end says for a person how the tunnel ended.
func (t *tunnel) end(err error) string {
	t.mu.Lock()
	reason := t.reason
	t.mu.Unlock()
	cause := t.conn.Cause()
	var network net.Error
	switch {
	case reason != "":
		return reason
	case t.conn.ClosedInOrder():
		return "the agent closed its tunnel"
	case errors.Is(cause, os.ErrDeadlineExceeded), errors.As(cause, &network) && network.Timeout():
		return "no sign of life for " + idleTimeout(t.hub.opts.Heartbeat).String()
	case cause != nil:
		return "the connection broke: " + cause.Error()
	case errors.Is(err, proto.ErrControl):
		return "the agent broke the protocol: " + err.Error()
	default:
		return "the agent ended the session"
	}
}

// close ends the tunnel from this end.
func (t *tunnel) close(reason string) {
	t.mu.Lock()
	if t.reason == "" {
		t.reason = reason
	}
	t.mu.Unlock()
	_ = t.session.Close()
}

// tell writes a control message. What can't be told is lost with the tunnel.
func (t *tunnel) tell(m proto.Control) {
	t.telling.Lock()
	defer t.telling.Unlock()
	if err := proto.WriteControl(t.control, m); err != nil {
		t.hub.log.Debug("control message not sent", zap.String("instance", t.hello.InstanceID), zap.Error(err))
	}
}

// take waits for room for one more request.
func (t *tunnel) take(ctx context.Context) error {
	select {
	case t.slots <- struct{}{}:
	default:
		select {
		case t.slots <- struct{}{}:
		case <-t.session.CloseChan():
			return errTunnelGone
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired {
		<-t.slots
		return errTunnelGone
	}
	t.inFlight++
	t.hub.flight.start()
	return nil
}

// release gives back what take took.
func (t *tunnel) release() {
	t.mu.Lock()
	t.inFlight--
	if t.retired && t.inFlight == 0 {
		close(t.idle)
	}
	t.mu.Unlock()
	<-t.slots
	t.hub.flight.done()
}

// retire sends no more requests down the tunnel. The channel is closed when
// those under way have ended.
func (t *tunnel) retire() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.retired {
		t.retired = true
		t.idle = make(chan struct{})
		if t.inFlight == 0 {
			close(t.idle)
		}
	}
	return t.idle
}

// leave ends the tunnel as soon as what is under way on it has ended.
func (t *tunnel) leave(reason string) {
	idle := t.retire()
	t.hub.work.Go(func() {
		select {
		case <-idle:
		case <-t.session.CloseChan():
		}
		t.close(reason)
	})
}

func (t *tunnel) busy() (inFlight int, retired bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inFlight, t.retired
}

// lastSeen is when the last byte arrived, by the relay's clock of now.
func (t *tunnel) lastSeen() time.Time { return t.hub.opts.Clock().Add(-t.conn.Silent()) }

func (t *tunnel) latency() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rtt
}

// ponged takes in a measured round trip. It runs in the reader: it must not
// block. Agent and pages are told when what they know is no longer true enough.
func (t *tunnel) ponged(rtt time.Duration) {
	t.mu.Lock()
	t.rtt += (rtt - t.rtt) / 8 // as TCP smooths it, RFC 6298
	now, known := t.rtt, t.told
	worth := (now-known).Abs() > known/4 && (now-known).Abs() > 500*time.Microsecond || known == 0
	if worth {
		t.told = now
	}
	t.mu.Unlock()
	if worth {
		t.hub.spawn(func() {
			t.tell(&proto.PingTimes{RTTMicros: now.Microseconds()})
			t.hub.changed(t)
		})
	}
}

// changed tells the pages that there is news of the tunnel's agent.
func (h *Hub) changed(t *tunnel) {
	h.opts.Events.Publish(event.Event{WorkspaceID: t.enrolled.WorkspaceID, Type: event.AgentChanged, ID: t.hello.AgentID})
}
