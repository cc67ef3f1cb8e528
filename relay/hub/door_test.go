package hub_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/proto"
	"sallyport/relay/hub"
)

// knock dials and returns what a refusal said.
func (s *stand) knock(t *testing.T) (*websocket.Conn, *http.Response) {
	t.Helper()
	ws, resp, err := (&websocket.Dialer{Subprotocols: []string{proto.Subprotocol}}).Dial("ws://"+s.host(), nil)
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
	} else if resp == nil {
		t.Fatal(err)
	}
	return ws, resp
}

// TestConnectsThatProveNothingAreLimited: agents that do prove who they are may
// come as often as they like.
func TestConnectsThatProveNothingAreLimited(t *testing.T) {
	now := time.Now()
	s := newStand(t, func(o *hub.Options) {
		o.ConnectsPerAddress, o.Clock = 1, func() time.Time { return now }
	})
	for range 15 { // more than are free at once
		if err := s.shake(t, s.dial(t), s.hello()); err != nil {
			t.Fatal(err)
		}
	}
	accepted := 0
	ws, resp := s.knock(t)
	for ; ws != nil && accepted < 20; ws, resp = s.knock(t) {
		accepted++
		_ = ws.Close()
	}
	if ws != nil || resp.StatusCode != http.StatusTooManyRequests || accepted > 10 || accepted < 9 { // the last agent may still be counted
		t.Fatalf("after %d: %+v", accepted, resp)
	}
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || after != 1 {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
}

func TestOneAddressCanNotTakeTheWholeDoorstep(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.MaxHandshakes = 4 })
	s.dial(t) // say nothing
	s.dial(t)
	_, resp := s.knock(t)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", resp)
	}
}

// TestDribbledHandshakeIsCutOff: each byte that comes is no reason to wait for
// one more.
func TestDribbledHandshakeIsCutOff(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.StepTimeout = 250 * time.Millisecond })
	ws := s.dial(t)
	began := time.Now()
	// A frame that grows by a byte at a time never ends, and never stalls.
	conn := ws.NetConn()
	if _, err := conn.Write([]byte{0x81, 0x80 | 126, 0x20, 0x00, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	for time.Since(began) < patience {
		if _, err := conn.Write([]byte{' '}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the relay still listens")
}
