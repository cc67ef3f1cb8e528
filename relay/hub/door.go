package hub

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"sallyport/internal/wsconn"
	"sallyport/proto"
	"sallyport/relay/throttle"
)

// ServeHTTP upgrades the request to a websocket and leaves: handshake and
// session run elsewhere, so that what the HTTP server holds for a request is
// freed. It is mounted at proto.TunnelPath.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if wantsTrial(r) {
		h.trial(w, r)
		return
	}
	if !websocket.IsWebSocketUpgrade(r) || !slices.Contains(websocket.Subprotocols(r), proto.Subprotocol) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Protocol", proto.Subprotocol)
		http.Error(w, "This is where Sallyport agents open their tunnels: a websocket with the subprotocol "+proto.Subprotocol+".", http.StatusUpgradeRequired)
		return
	}
	h.mu.Lock()
	draining := h.draining
	h.mu.Unlock()
	if draining {
		refuseHTTP(w, http.StatusServiceUnavailable, 5*time.Second, "This relay is about to stop.")
		return
	}
	place, limit := h.doorstep.enter(throttle.ByAddress(r.RemoteAddr))
	if limit != nil {
		h.metrics.refused(limit.reason)
		refuseHTTP(w, limit.status, limit.retryAfter, limit.text)
		return
	}
	ws, buffer, err := wsconn.Upgrade(&h.upgrader, w, r)
	if err != nil {
		h.doorstep.leave(place, false)
		h.log.Info("websocket upgrade failed", zap.String("remote", r.RemoteAddr), zap.Error(err))
		return
	}
	v := &visitor{ws: ws, buffer: buffer, host: r.Host, remote: r.RemoteAddr, place: place,
		stepTime: h.opts.StepTimeout, deadline: time.Now().Add(2 * h.opts.StepTimeout)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		h.doorstep.leave(place, false)
		_ = ws.Close()
		return
	}
	h.work.Go(func() { h.receive(v) })
}

func refuseHTTP(w http.ResponseWriter, status int, retryAfter time.Duration, text string) {
	w.Header().Set("Retry-After", seconds(retryAfter))
	http.Error(w, text, status)
}

// visitor is who has upgraded but not yet proved anything.
type visitor struct {
	ws       *websocket.Conn
	buffer   *bufio.Reader // of ws
	host     string        // the request's Host
	remote   string
	place    *place // on the doorstep
	stepTime time.Duration
	deadline time.Time // of the handshake as a whole
	arrival  *arrival  // nil until its enrolment is looked up
}

// step is the deadline of a step of the handshake that begins now.
func (v *visitor) step() time.Time {
	step := time.Now().Add(v.stepTime)
	if v.deadline.Before(step) {
		return v.deadline
	}
	return step
}

// receive shakes hands and, where that succeeds, puts the tunnel to use.
func (h *Hub) receive(v *visitor) {
	close := func() { _ = v.ws.Close() }
	stop := context.AfterFunc(h.life, close)
	dismissed := context.AfterFunc(v.place.dismissed, close)
	t, err := h.handshake(v)
	defer h.arrived(v.arrival)
	stop()
	dismissed()
	if v.place.dismissed.Err() != nil {
		err = errDawdled // that its connection was closed is only the consequence
	}
	h.doorstep.leave(v.place, err == nil)
	if err != nil {
		h.turnedAway(v, err)
		_ = v.ws.Close()
		return
	}
	h.run(t, v.arrival)
}

// turnedAway notes why a visitor got no tunnel.
func (h *Hub) turnedAway(v *visitor, err error) {
	var refused *proto.Refused
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &refused):
		h.metrics.refused(string(refused.Code))
	case errors.As(err, &closed) && closed.Code == websocket.CloseNormalClosure:
		// It came to see whether the way is free, as doctor does.
		h.log.Debug("visitor left", zap.String("remote", v.remote))
		return
	case errors.Is(err, errDawdled):
		h.metrics.refused("dawdled")
	default:
		h.metrics.refused("broken_off")
	}
	h.log.Info("tunnel refused", zap.String("remote", v.remote), zap.Error(err))
}
