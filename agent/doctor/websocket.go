package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/agent/egress"
	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// goodbye is how long the other end may take to close a websocket in order.
const goodbye = 2 * time.Second

// websocket opens what a tunnel begins with, and closes it again before the
// handshake: no enrolment is needed, and no tunnel is made.
func (e *examination) websocket(ctx context.Context) {
	e.onTheWay(CheckWebsocket, hostOf(e.relay)+proto.TunnelPath, func(r *Result) {
		started := time.Now()
		ws, err := e.upgrade(ctx, proto.Subprotocol)
		if err != nil {
			explainUpgrade(r, e.relay.Host, err)
			return
		}
		took := time.Since(started)
		clean := closeInOrder(ws)
		r.Facts["subprotocol"], r.Facts["closedInOrder"] = ws.Subprotocol(), clean
		switch {
		case ws.Subprotocol() != proto.Subprotocol:
			r.fail(fmt.Sprintf("%s accepts websockets, but does not speak %s.", e.relay.Host, proto.Subprotocol),
				"Check that the URL is the relay's, and that agent and relay are of versions that fit; a proxy that drops Sec-WebSocket-Protocol looks the same.")
		case !clean:
			r.warn(fmt.Sprintf("A websocket opens (%.1f ms), but what is sent in it does not come back.", ms(took)),
				"A device on the way lets the upgrade through and holds up what follows: have "+e.relay.Hostname()+" exempted from inspection.")
		default:
			r.pass(fmt.Sprintf("A websocket opens and closes in order (%.1f ms).", ms(took)))
		}
	})
}

// upgrade opens a websocket at the tunnel's path.
func (e *examination) upgrade(ctx context.Context, subprotocol string) (*websocket.Conn, error) {
	target := e.relay.JoinPath(proto.TunnelPath)
	target.Scheme = map[string]string{"https": "wss", "http": "ws"}[target.Scheme]
	dial := func(context.Context, string, string) (net.Conn, error) {
		conn, _, err := e.open(ctx)
		if err != nil {
			return nil, err
		}
		return conn, conn.SetDeadline(time.Now().Add(e.Step))
	}
	dialer := websocket.Dialer{NetDialContext: dial, NetDialTLSContext: dial, Subprotocols: []string{subprotocol}}
	ws, resp, err := dialer.DialContext(ctx, target.String(), http.Header{"User-Agent": {"sallyport-agent/" + buildinfo.Version() + " (doctor)"}})
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, egress.BadAnswer(e.relay.Host, resp)
	}
	if err != nil {
		return nil, err
	}
	return ws, ws.NetConn().SetDeadline(time.Time{})
}

// closeInOrder says goodbye and reports whether the other end answers, which
// is also the proof that frames pass both ways.
func closeInOrder(ws *websocket.Conn) bool {
	defer ws.Close()
	until := time.Now().Add(goodbye)
	if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "doctor"), until); err != nil {
		return false
	}
	_ = ws.SetReadDeadline(until)
	for {
		if _, _, err := ws.NextReader(); err != nil {
			return websocket.IsCloseError(err, websocket.CloseNormalClosure)
		}
	}
}

func explainUpgrade(r *Result, host string, err error) {
	exempt := fmt.Sprintf("A proxy or firewall that inspects traffic does not let websockets through: have %s exempted, or the upgrade (HTTP/1.1, Upgrade: websocket) allowed.", host)
	explainDial(r, host, err, exempt)
	// That it is a relay is known from the check before; so here who answers
	// otherwise stands in between.
	switch r.Facts["fault"] {
	case string(egress.FaultNotRelay), string(egress.FaultDenied), string(egress.FaultPortal):
		r.Remedy = exempt
	case string(egress.FaultBusy):
		r.Remedy = "The relay takes no more agents at this moment: run doctor again in a minute."
	case string(egress.FaultUnreachable):
		r.Message = fmt.Sprintf("%s answers requests, but not the upgrade to a websocket: %v.", host, cause(err))
		r.Remedy = exempt
	}
}
