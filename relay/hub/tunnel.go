package hub

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
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
	replaced    bool   // the agent has another one, elsewhere; guarded by the hub's mu
	conn        *wsconn.Conn
	session     *mux.Session
	running     sync.Mutex // held until run has returned

	agent *agent // set when it is registered; guarded by the hub's mu until then
	kept  keptStreams
	pause atomic.Pointer[pause] // nil: the site has said nothing of one

	mu       sync.Mutex           // guards the following
	retired  bool                 // no new requests
	leaving  string               // why it is to be closed once nothing is under way; "": it is not; never changes back
	rtt      time.Duration        // smoothed
	known    time.Duration        // the rtt that the agent and the pages know
	reason   string               // why this end closed it
	policy   *proto.PolicySummary // of the agent's site; nil: not told
	policyAt time.Time            // when it was told
	config   *proto.ConfigState   // of the agent; nil: not told
	configAt time.Time            // when it was told
	inFlight int
}

// run makes a tunnel usable whose handshake is done. No goroutine of the hub
// belongs to it from then on: gone is called when it has ended.
func (h *Hub) run(t *tunnel, a *arrival) {
	defer t.running.Unlock()
	if err := h.register(t, a); err != nil {
		t.close(err.Error())
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
	h.record(t)
}

// gone takes in that a tunnel has ended. It runs in a goroutine that begins
// with the end, and that the hub waits for.
func (h *Hub) gone(t *tunnel) {
	defer h.work.Done()
	t.running.Lock()
	if t.sequence == 0 { // it was never registered
		_ = t.session.Close()
		return
	}
	h.unregister(t)
	_ = t.session.Close()
	reason := t.end()
	h.log.Info("tunnel down",
		zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID), zap.Int("slot", t.hello.Slot),
		zap.String("reason", reason), zap.NamedError("cause", t.conn.Cause()), zap.Duration("lived", h.opts.Clock().Sub(t.connectedAt)))
	h.recordGone(t, reason)
}

// told takes in a control message. It runs in the tunnel's reader: it must not
// block.
func (t *tunnel) told(raw []byte) error {
	m, err := proto.DecodeControl(raw)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *proto.Drain:
		if !(m.Replaced && t.hub.keep(t)) {
			// Only this end knows when the last request has ended: the agent
			// can't tell whether one more is on its way to it.
			t.leave("the agent closed its tunnel")
			t.hub.changed(t)
		}
	case *proto.Rest:
		t.mu.Lock() // open may be about to set it
		session := t.session
		t.mu.Unlock()
		return session.Rested(m.N)
	case *proto.Paused:
		t.hub.toldPause(t, m)
	case *proto.LogLines:
		t.hub.toldLogs(t, m)
	case *proto.OfflineReport:
		t.hub.toldOffline(t, m)
	case *proto.PolicySummary:
		t.mu.Lock()
		t.policy, t.policyAt = m, t.hub.opts.Clock()
		t.mu.Unlock()
		t.hub.changed(t)
	case *proto.ConfigState:
		t.mu.Lock()
		t.config, t.configAt = m, t.hub.opts.Clock()
		t.mu.Unlock()
		t.hub.changed(t)
	}
	return nil
}

// policySummary is what the agent's site last said of its policy, and when.
func (t *tunnel) policySummary() (*proto.PolicySummary, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policy, t.policyAt
}

// configState is what the agent last said of its configuration, and when.
func (t *tunnel) configState() (*proto.ConfigState, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.config, t.configAt
}

// end says for a person how the tunnel ended.
func (t *tunnel) end() string {
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
	case errors.Is(cause, proto.ErrControl):
		return "the agent broke the protocol: " + cause.Error()
	case cause != nil:
		return broke(cause)
	default:
		return "the agent ended the session"
	}
}

// broke says for a person how the connection broke. Where the other end was just
// gone, the words of websocket (RFC 6455, section 7.4.1: code 1006), TLS or the
// system for it would tell people nothing: those stay in the log.
func broke(cause error) string {
	var closed *websocket.CloseError
	var socket *net.OpError // of TLS, too, whose alerts have another Op, and do tell something
	switch {
	case errors.As(cause, &closed) && closed.Code == websocket.CloseAbnormalClosure,
		errors.Is(cause, io.ErrUnexpectedEOF),
		errors.As(cause, &socket) && (socket.Op == "read" || socket.Op == "write"):
		return "the connection broke without a goodbye"
	}
	return "the connection broke: " + cause.Error()
}

// close ends the tunnel from this end, and tells the agent why.
func (t *tunnel) close(reason string) {
	t.mu.Lock()
	if t.reason == "" {
		t.reason = reason
	}
	t.mu.Unlock()
	t.conn.SayAtClose(websocket.CloseGoingAway, reason)
	_ = t.session.Close()
}

// tell sends a control message. It does not block; what can't be told is lost
// with the tunnel.
func (t *tunnel) tell(m proto.Control) {
	raw, err := proto.EncodeControl(m)
	if err == nil {
		err = t.conn.SendText(raw)
	}
	if err != nil {
		t.hub.log.Debug("control message not sent", zap.String("instance", t.hello.InstanceID), zap.Error(err))
	}
}

// take takes a place for one more request. It reports false where there is
// none, or the tunnel takes no more requests.
func (t *tunnel) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired || t.inFlight >= t.hub.opts.MaxStreams {
		return false
	}
	t.inFlight++
	t.hub.flight.start()
	return true
}

// release gives back what take took.
func (t *tunnel) release() {
	t.mu.Lock()
	t.inFlight--
	last := t.leaving != "" && t.inFlight == 0
	t.mu.Unlock()
	if last {
		t.hub.spawn(func() { t.close(t.leaving) })
	}
	t.hub.flight.done()
	t.hub.freed(t.agent)
}

// retire sends no more requests down the tunnel.
func (t *tunnel) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
}

// leave ends the tunnel as soon as what is under way on it has ended.
func (t *tunnel) leave(reason string) {
	t.mu.Lock()
	t.retired = true
	first := t.leaving == ""
	if first {
		t.leaving = reason
	}
	idle := t.inFlight == 0
	t.mu.Unlock()
	if first && idle {
		t.hub.spawn(func() { t.close(reason) })
	}
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
	now, known := t.rtt, t.known
	worth := (now-known).Abs() > known/4 && (now-known).Abs() > 500*time.Microsecond || known == 0
	if worth {
		t.known = now
	}
	session := t.session // nil: open is about to set it
	t.mu.Unlock()
	if session != nil {
		session.SetRTT(min(now, rtt))
	}
	if worth {
		t.tell(&proto.PingTimes{RTTMicros: now.Microseconds()})
		t.hub.changed(t)
	}
}

// changed tells the pages that there is news of the tunnel's agent.
func (h *Hub) changed(t *tunnel) {
	h.opts.Events.Publish(event.Event{WorkspaceID: t.enrolled.WorkspaceID, Type: event.AgentChanged, ID: t.hello.AgentID})
}
