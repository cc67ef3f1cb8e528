package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/agent/egress"
	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// dial opens a tunnel: connection, websocket, handshake, session.
func (l *Link) dial(ctx context.Context, way *egress.Egress, slot int) (*tunnel, error) {
	ws, err := l.connect(ctx, way)
	if err != nil {
		return nil, err
	}
	welcome, rtt, err := l.shakeHands(ctx, ws, slot)
	if err != nil {
		_ = ws.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	t := &tunnel{
		link: l, slot: slot, welcome: welcome, since: l.opts.Clock(), rtt: rtt, latency: rtt,
		drain: make(chan time.Duration, 1), ended: make(chan struct{}),
	}
	heartbeat := time.Duration(welcome.HeartbeatMs) * time.Millisecond
	t.conn = wsconn.New(ws, wsconn.Options{IdleTimeout: 2*heartbeat + time.Second, OnText: t.told})
	t.mu.Lock() // told may come before session is set
	t.session, err = mux.Client(t.conn, mux.Options{RTT: rtt, Log: l.log, Budget: l.unread})
	t.mu.Unlock()
	if err != nil {
		_ = t.conn.Close()
		return nil, err
	}
	// Requests under way outlive ctx, by finish's leave.
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.own.Go(func() { t.beat(heartbeat) })
	l.work.Go(t.accept)
	return t, nil
}

// connect opens the websocket.
func (l *Link) connect(ctx context.Context, way *egress.Egress) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.StepTimeout)
	defer cancel()
	target := l.opts.Relay.JoinPath(proto.TunnelPath)
	target.User, target.RawQuery, target.Fragment = nil, "", ""
	target.Scheme = map[string]string{"https": "wss", "http": "ws"}[target.Scheme]
	// The websocket package looks at ctx only between its steps; closing the
	// connection interrupts it at once.
	var opened net.Conn
	var interrupt func() bool
	dialer := websocket.Dialer{
		// Not the context that it is given, which ends with the dialling.
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			conn, err := way.Dial(ctx, target)
			if err != nil {
				return nil, err
			}
			opened = conn
			interrupt = context.AfterFunc(ctx, func() { _ = conn.Close() })
			return conn, nil
		},
		TLSClientConfig:  way.TLSConfig(target.Hostname()),
		HandshakeTimeout: l.opts.StepTimeout,
		Subprotocols:     []string{proto.Subprotocol},
		ReadBufferSize:   4 << 10, // longer reads bypass it
		WriteBufferSize:  wsconn.MaxMessage,
		WriteBufferPool:  &l.buffers,
	}
	header := http.Header{"User-Agent": {"sallyport-agent/" + l.opts.Machine.Version}}
	ws, resp, err := dialer.DialContext(ctx, target.String(), header)
	if interrupt != nil && !interrupt() { // the connection was closed under it
		if err == nil {
			_ = ws.Close()
		}
		err = context.Cause(ctx)
	}
	switch {
	case errors.Is(err, websocket.ErrBadHandshake):
		return nil, egress.BadAnswer(l.opts.Relay.Host, resp)
	case err != nil:
		if opened != nil {
			_ = opened.Close()
		}
		return nil, egress.Explain(l.opts.Relay.Host, err)
	case ws.Subprotocol() != proto.Subprotocol:
		_ = ws.Close()
		return nil, &egress.DialError{Fault: egress.FaultNotRelay, Text: fmt.Sprintf("%s accepts websockets, but is not a Sallyport relay of this version", l.opts.Relay.Host)}
	}
	return ws, nil
}
