package hub

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
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
	address := throttle.ByAddress(r.RemoteAddr)
	if limit := h.doorstep.enter(address); limit != nil {
		h.metrics.refused(limit.reason)
		refuseHTTP(w, limit.status, limit.retryAfter, limit.text)
		return
	}
	ws, buffer, err := wsconn.Upgrade(&h.upgrader, w, r)
	if err != nil {
		h.doorstep.leave(address, false)
		h.log.Info("websocket upgrade failed", zap.String("remote", r.RemoteAddr), zap.Error(err))
		return
	}
	v := &visitor{ws: ws, buffer: buffer, host: r.Host, remote: r.RemoteAddr, address: address,
		stepTime: h.opts.StepTimeout, deadline: time.Now().Add(2 * h.opts.StepTimeout)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		h.doorstep.leave(address, false)
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
	address  string // under which the doorstep counts it
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
	stop := context.AfterFunc(h.life, func() { _ = v.ws.Close() })
	t, err := h.handshake(v)
	defer h.arrived(v.arrival)
	stop()
	h.doorstep.leave(v.address, err == nil)
	if err != nil {
		var refused *proto.Refused
		if errors.As(err, &refused) {
			h.metrics.refused(string(refused.Code))
		} else {
			h.metrics.refused("broken_off")
		}
		h.log.Info("tunnel refused", zap.String("remote", v.remote), zap.Error(err))
		_ = v.ws.Close()
		return
	}
	h.run(t, v.arrival)
}

// doorstep is where agents stand that have not yet proved who they are. It
// bounds how many they may be, in all and from one address, so that strangers
// who dawdle can't keep agents out; and how often one address may come without
// proving anything. Agents are not counted once they have: hundreds of them may
// share the address of their company.
type doorstep struct {
	most, mostOfOne int
	connects        *throttle.Throttle // nil: no limit
	clock           func() time.Time

	mu           sync.Mutex // guards the following
	all          int
	byAddress    map[string]int
	appointments appointments
}

// doorLimit is why somebody may not enter now.
type doorLimit struct {
	reason     string // for the metrics
	status     int
	retryAfter time.Duration
	text       string
}

// connectsBurst is how many seconds' worth of connects may come at once.
const connectsBurst = 10

func newDoorstep(opts Options) *doorstep {
	d := &doorstep{most: opts.MaxHandshakes, mostOfOne: max(1, opts.MaxHandshakes/2), byAddress: make(map[string]int), clock: opts.Clock}
	if n := opts.ConnectsPerAddress; n > 0 {
		d.connects = throttle.New(throttle.Options{Burst: connectsBurst * n, Every: time.Second / time.Duration(n), Clock: opts.Clock})
	}
	return d
}

func (d *doorstep) enter(address string) *doorLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.all >= d.most:
		return &doorLimit{"busy", http.StatusServiceUnavailable, d.appointments.make(d.clock()),
			"Too many agents are connecting at this moment."}
	case d.byAddress[address] >= d.mostOfOne:
		return &doorLimit{"handshakes_per_address", http.StatusTooManyRequests, d.appointments.make(d.clock()),
			"Too many agents are connecting from " + address + " at this moment (" + strconv.Itoa(d.mostOfOne) + ")."}
	}
	if d.connects != nil {
		if wait := d.connects.Take(address); wait > 0 {
			return &doorLimit{"connects_per_address", http.StatusTooManyRequests, wait,
				"Too many connects from " + address + " have not led to a tunnel. Where a proxy stands in front of the relay, name it in trusted-proxies."}
		}
	}
	d.all++
	d.byAddress[address]++
	return nil
}

// leave is for who entered; proved: it is an agent.
func (d *doorstep) leave(address string, proved bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.byAddress[address]--; d.byAddress[address] == 0 {
		delete(d.byAddress, address)
	}
	if proved && d.connects != nil {
		d.connects.Forgive(address)
	}
}
