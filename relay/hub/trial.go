package hub

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/throttle"
)

// How many trials may be open at once, in all and from one address: anybody may
// open one, and each holds a socket and a goroutine.
const (
	maxTrials      = 32
	maxTrialsOfOne = 4
)

// trials counts those that are open.
type trials struct {
	mu        sync.Mutex // guards the following
	all       int
	byAddress map[string]int
}

// enter reports whether there is room for one more.
func (t *trials) enter(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= maxTrials || t.byAddress[address] >= maxTrialsOfOne {
		return false
	}
	if t.byAddress == nil {
		t.byAddress = make(map[string]int)
	}
	t.all++
	t.byAddress[address]++
	return true
}

func (t *trials) leave(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all--
	if t.byAddress[address]--; t.byAddress[address] == 0 {
		delete(t.byAddress, address)
	}
}

// wantsTrial reports whether a request asks for a trial; see
// proto.TrialSubprotocol.
func wantsTrial(r *http.Request) bool {
	return websocket.IsWebSocketUpgrade(r) && slices.Contains(websocket.Subprotocols(r), proto.TrialSubprotocol)
}

// trial holds a websocket in silence until the other end has seen enough.
func (h *Hub) trial(w http.ResponseWriter, r *http.Request) {
	address := throttle.ByAddress(r.RemoteAddr)
	if !h.trials.enter(address) {
		refuseHTTP(w, http.StatusServiceUnavailable, time.Minute, "Too many trials are open at this moment.")
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{proto.TrialSubprotocol}, CheckOrigin: h.upgrader.CheckOrigin}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		h.trials.leave(address)
		h.log.Info("websocket upgrade failed", zap.String("remote", r.RemoteAddr), zap.Error(err))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		h.trials.leave(address)
		_ = ws.Close()
		return
	}
	h.work.Go(func() {
		defer h.trials.leave(address)
		h.await(ws)
	})
}

// await reads until the other end closes, or the time is up. Pings are answered
// by the reader; a message is more than a trial may send, and ends it.
func (h *Hub) await(ws *websocket.Conn) {
	stop := context.AfterFunc(h.life, func() { _ = ws.Close() })
	defer stop()
	defer ws.Close()
	ws.SetReadLimit(125) // that of a control frame (RFC 6455, section 5.5)
	if err := ws.SetReadDeadline(time.Now().Add(proto.MaxTrial)); err != nil {
		return
	}
	_, _, _ = ws.NextReader() // its end is what was waited for
}
