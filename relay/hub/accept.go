package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// maxSlots is how many tunnels one instance may hold, those that are being
// replaced not counted.
const maxSlots = 4

// clockTolerance is how far an agent's clock may be off before it is worth a
// word: short-lived tokens and certificates begin to fail beyond.
const clockTolerance = time.Minute

// proofsAtOnce is how many proofs are looked at at once, which is what takes the
// time: agents then come in one after the other, the first ones at once, and do
// not all wait for as long as the last. Who dawdles holds up nobody: its turn
// comes when its proof is there.
const proofsAtOnce = 32

// errDawdled: the proof came when the visitor's place had been given to another.
var errDawdled = errors.New("too slow for a full doorstep")

// handshake is the relay's half of the handshake; see package proto. A
// *proto.Refused that it returns has been told to the agent.
func (h *Hub) handshake(v *visitor) (*tunnel, error) {
	refuse := func(code proto.Refusal, retryAfter int, format string, args ...any) error {
		refused := &proto.Refused{Code: code, RetryAfterSeconds: retryAfter, Text: fmt.Sprintf(format, args...)}
		if raw, err := proto.Encode(refused); err == nil {
			_ = wsconn.WriteText(v.ws, raw, v.step()) // it may be gone already
		}
		return refused
	}
	hello, helloRaw, err := receiveMessage[*proto.Hello](v)
	if err != nil {
		if errors.Is(err, proto.ErrMessage) {
			return nil, refuse(proto.RefusedMessage, 0, "The first message is not a Hello of %s.", proto.Subprotocol)
		}
		return nil, err
	}
	arrived := h.opts.Clock()
	nonce := make([]byte, proto.NonceSize)
	rand.Read(nonce) // never fails
	challengeRaw, err := proto.Encode(&proto.Challenge{Nonce: nonce, RelayID: h.opts.RelayID})
	if err != nil {
		return nil, err
	}
	asked := time.Now()
	if err := wsconn.WriteText(v.ws, challengeRaw, v.step()); err != nil {
		return nil, err
	}
	proof, _, err := receiveMessage[*proto.Proof](v)
	if err != nil {
		if errors.Is(err, proto.ErrMessage) {
			return nil, refuse(proto.RefusedMessage, 0, "The second message is not a Proof of %s.", proto.Subprotocol)
		}
		return nil, err
	}
	rtt := time.Since(asked)

	if !h.dialledUs(hello.RelayHost, v) {
		return nil, refuse(proto.RefusedHost, 0, "The agent dialled %q, which is not the name of this relay.", hello.RelayHost)
	}
	ctx, cancel := context.WithDeadline(h.life, v.step())
	defer cancel()
	if !h.doorstep.proof(v.place) {
		return nil, errDawdled
	}
	select {
	case h.turns <- struct{}{}:
		h.doorstep.turn(v.place)
		defer func() { <-h.turns }()
	case <-ctx.Done():
		h.doorstep.turn(v.place)
		return nil, refuse(proto.RefusedBusy, 5, "The relay can't keep up with the agents that are connecting.")
	}
	v.arrival = h.arriving(hello)
	enrolled, err := h.enrolled(ctx, hello)
	switch {
	case errors.Is(err, ErrNotEnrolled):
		return nil, refuse(proto.RefusedUnknown, 0, "This machine is not enrolled at this relay, or its enrolment was revoked. Enrol it again.")
	case err != nil:
		h.log.Error("enrolment can't be looked up", zap.String("instance", hello.InstanceID), zap.Error(err))
		return nil, refuse(proto.RefusedBusy, 5, "The relay can't look up enrolments at this moment.")
	case !proto.Verify(enrolled.PublicKey, helloRaw, challengeRaw, proof.Signature):
		return nil, refuse(proto.RefusedProof, 0, "The key of this machine is not the one that was enrolled. Enrol it again.")
	case hello.Slot >= maxSlots:
		return nil, refuse(proto.RefusedTunnels, 60, "One machine may hold %d tunnels.", maxSlots)
	}
	h.mu.Lock()
	draining := h.draining
	h.mu.Unlock()
	if draining {
		return nil, refuse(proto.RefusedDraining, 5, "This relay is about to stop.")
	}

	offset := hello.Time.Sub(arrived)
	welcomeRaw, err := proto.Encode(&proto.Welcome{
		TunnelID:      uuid.NewString(),
		AgentName:     enrolled.AgentName,
		HeartbeatMs:   int(h.opts.Heartbeat.Milliseconds()),
		MaxStreams:    h.opts.MaxStreams,
		ClockOffsetMs: offset.Milliseconds(),
	})
	if err != nil {
		return nil, err
	}
	if err := wsconn.WriteText(v.ws, welcomeRaw, v.step()); err != nil {
		return nil, err
	}
	return h.open(v, hello, enrolled, rtt, offset), nil
}

// open begins the session on a websocket whose other end is known.
func (h *Hub) open(v *visitor, hello *proto.Hello, enrolled Enrolled, rtt, offset time.Duration) *tunnel {
	t := &tunnel{
		hub: h, hello: hello, enrolled: enrolled, remote: v.remote,
		connectedAt: h.opts.Clock(), clockOffset: offset, rtt: rtt,
	}
	t.conn = wsconn.New(v.ws, wsconn.Options{
		IdleTimeout: idleTimeout(h.opts.Heartbeat), OnPong: t.ponged, OnText: t.told, Watcher: &h.watcher, Buffer: v.buffer,
	})
	t.running.Lock() // run unlocks it
	h.work.Add(1)    // gone takes it back
	t.mu.Lock()      // told may come before session is set
	defer t.mu.Unlock()
	t.session = mux.Server(t.conn, mux.Options{RTT: rtt, Log: h.log, Budget: h.unread, OnEnd: func() { h.gone(t) }})
	return t
}

// receiveMessage reads a message of the handshake, and returns its exact bytes
// too, since those are what is signed.
func receiveMessage[T proto.Message](v *visitor) (T, []byte, error) {
	var none T
	raw, err := wsconn.ReadText(v.ws, proto.MaxHandshakeMessage, v.step())
	if err != nil {
		return none, nil, err
	}
	m, err := proto.Expect[T](raw)
	return m, raw, err
}

// dialledUs reports whether the host that the agent says it dialled is this
// relay's.
func (h *Hub) dialledUs(dialled string, v *visitor) bool {
	if h.opts.PublicURL == nil {
		return strings.EqualFold(dialled, v.host)
	}
	if sameHost(dialled, h.opts.PublicURL) {
		return true
	}
	// Within one machine there is nobody in between, whatever it is called.
	return loopback(dialled) && loopback(v.remote)
}

// sameHost compares "host" or "host:port" with u's, where the port of u's
// scheme goes without saying.
func sameHost(dialled string, u *url.URL) bool {
	standard := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	port := u.Port()
	if port == "" {
		port = standard
	}
	given := &url.URL{Host: dialled}
	givenPort := given.Port()
	if givenPort == "" {
		givenPort = standard
	}
	return strings.EqualFold(given.Hostname(), u.Hostname()) && givenPort == port
}

// loopback reports whether "host" or "host:port" is on this machine.
func loopback(hostport string) bool {
	host := (&url.URL{Host: hostport}).Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
