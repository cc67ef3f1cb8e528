package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/agent/egress"
	"sallyport/proto"
)

// silence holds a websocket open without a word, to find out whether something
// on the way cuts, or forgets, connections that are idle. Tunnels never are:
// they are pinged every few seconds. So what is found here is a warning.
func (e *examination) silence(ctx context.Context) {
	if e.Idle <= 0 {
		return
	}
	e.onTheWay(CheckIdle, hostOf(e.relay)+proto.TunnelPath, func(r *Result) {
		r.Facts["askedMs"] = e.Idle.Milliseconds()
		ws, err := e.upgrade(ctx, proto.TrialSubprotocol)
		if err != nil || ws.Subprotocol() != proto.TrialSubprotocol {
			explainNoTrial(r, e.relay.Host, ws, err)
			return
		}
		held := hold(ctx, ws, e.Idle, e.Step)
		r.Facts["heldMs"] = held.lasted.Milliseconds()
		lasted := held.lasted.Round(100 * time.Millisecond)
		const remedy = "Tunnels are pinged every 4 s and live with it; if they break all the same, have the idle time-out of firewalls and proxies on the way raised above a minute."
		switch {
		case held.stopped:
			r.Status, r.Message = Skip, fmt.Sprintf("Broken off after %s.", lasted)
		case held.cut:
			r.warn(fmt.Sprintf("A websocket in silence was cut after %s.", lasted), remedy)
		case held.mute:
			r.warn(fmt.Sprintf("After %s in silence the websocket was dead, without a word.", lasted), remedy)
		default:
			r.pass(fmt.Sprintf("A websocket stayed open through %s in silence.", lasted))
		}
	})
}

// explainNoTrial is for a relay that holds no websocket in silence.
func explainNoTrial(r *Result, host string, ws *websocket.Conn, err error) {
	var answer *egress.DialError
	errors.As(err, &answer)
	switch {
	case err == nil:
		_ = ws.Close()
		fallthrough
	case answer != nil && answer.Fault == egress.FaultNotRelay:
		r.Status, r.Message = Skip, "Not tried: this relay is of a version that holds no websocket in silence."
	case answer != nil && answer.Fault == egress.FaultBusy:
		r.Status, r.Message = Skip, "Not tried: the relay holds enough websockets in silence at this moment."
	default:
		explainUpgrade(r, host, err)
	}
}

// held is how a websocket in silence ended.
type held struct {
	lasted  time.Duration
	cut     bool // by the other end, or someone in between
	mute    bool // open on this side, and nothing comes back
	stopped bool // by whoever runs doctor
}

// hold holds ws for so long, then asks whether the other end is still there.
func hold(ctx context.Context, ws *websocket.Conn, idle, patience time.Duration) held {
	started := time.Now()
	ended, answered := make(chan struct{}), make(chan struct{}, 1)
	ws.SetPongHandler(func(string) error {
		select {
		case answered <- struct{}{}:
		default:
		}
		return nil
	})
	go func() { // ends with the websocket
		defer close(ended)
		for {
			if _, _, err := ws.NextReader(); err != nil {
				return
			}
		}
	}()
	defer func() {
		_ = ws.Close()
		<-ended
	}()
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ended:
		return held{lasted: time.Since(started), cut: true}
	case <-ctx.Done():
		return held{lasted: time.Since(started), stopped: true}
	}
	h := held{lasted: time.Since(started)}
	if err := ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)); err != nil {
		h.cut = true
		return h
	}
	timer.Reset(patience)
	select {
	case <-answered:
	case <-ended:
		h.cut = true
	case <-timer.C:
		h.mute = true
	case <-ctx.Done():
		h.stopped = true
	}
	return h
}
