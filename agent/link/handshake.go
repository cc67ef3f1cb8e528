package link

import (
	"context"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// welcomeGrace is how much longer than its context a handshake may take once
// the proof has been sent.
const welcomeGrace = 2 * time.Second

// shakeHands is the handshake, broken off when ctx ends. Where the proof has
// been sent by then, the relay may be sending requests already: the tunnel is
// not torn down under them, but taken, and then ended in order.
func (l *Link) shakeHands(ctx context.Context, ws *websocket.Conn, slot int) (*proto.Welcome, time.Duration, error) {
	over, proved, watched := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		select {
		case <-proved:
			timer := time.NewTimer(welcomeGrace)
			defer timer.Stop()
			select {
			case <-over:
				return
			case <-timer.C:
			}
		default:
		}
		_ = ws.Close()
	}()
	welcome, rtt, err := l.handshake(ws, slot, func() { close(proved) })
	close(over)
	<-watched
	return welcome, rtt, err
}

// handshake is the agent's half of the handshake; see package proto. It says
// when the proof is about to be sent.
func (l *Link) handshake(ws *websocket.Conn, slot int, proving func()) (*proto.Welcome, time.Duration, error) {
	step := func() time.Time { return time.Now().Add(l.opts.StepTimeout) }
	m, id := l.opts.Machine, l.opts.Identity
	hello, err := proto.Encode(&proto.Hello{
		AgentID: id.AgentID, InstanceID: id.InstanceID, Run: l.run, Slot: slot,
		Version: m.Version, OS: m.OS, Arch: m.Arch, Hostname: m.Hostname, Capabilities: m.Capabilities,
		RelayHost: l.opts.Relay.Host, Time: l.opts.Clock(),
	})
	if err != nil {
		return nil, 0, err
	}
	asked := time.Now()
	if err := wsconn.WriteText(ws, hello, step()); err != nil {
		return nil, 0, err
	}
	challenge, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, step())
	if err != nil {
		return nil, 0, err
	}
	rtt := time.Since(asked)
	if _, err := proto.Expect[*proto.Challenge](challenge); err != nil {
		return nil, 0, err
	}
	proof, err := proto.Encode(&proto.Proof{Signature: proto.Sign(id.Key, hello, challenge)})
	if err != nil {
		return nil, 0, err
	}
	proving()
	if err := wsconn.WriteText(ws, proof, step()); err != nil {
		return nil, 0, err
	}
	answer, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, step())
	if err != nil {
		return nil, 0, err
	}
	welcome, err := proto.Expect[*proto.Welcome](answer)
	return welcome, rtt, err
}
