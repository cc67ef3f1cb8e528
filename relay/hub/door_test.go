package hub_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/testkit"
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

// knockFrom is knock from another address of this machine.
func (s *stand) knockFrom(t *testing.T, address string) (*websocket.Conn, *http.Response) {
	t.Helper()
	if runtime.GOOS != "linux" {
		testkit.Missing(t, "more than one loopback address", "only Linux has them without being told")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	ws, resp, err := (&websocket.Dialer{Subprotocols: []string{proto.Subprotocol}, NetDialContext: dialer.DialContext}).Dial("ws://"+s.host(), nil)
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
	} else if resp == nil {
		t.Fatal(err)
	}
	return ws, resp
}

// TestWhoDawdlesMakesRoomOnAFullDoorstep: strangers who prove nothing, from as
// many addresses as they like, keep no agent out for long.
func TestWhoDawdlesMakesRoomOnAFullDoorstep(t *testing.T) {
	t.Parallel()
	s := newStand(t, func(o *hub.Options) { o.MaxHandshakes, o.StepTimeout = 2, 5*time.Second })
	first, _ := s.knockFrom(t, "127.0.0.2")
	second, _ := s.knockFrom(t, "127.0.0.3")
	if first == nil || second == nil {
		t.Fatal("turned away")
	}
	if _, resp := s.knock(t); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("before anybody has been there for long: %s", resp.Status)
	}
	testkit.Eventually(t, patience, "an agent gets in", func() error {
		ws, resp := s.knock(t)
		if ws == nil {
			return errors.New(resp.Status)
		}
		return s.shake(t, ws, s.hello())
	})
	_ = first.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := first.NextReader(); err == nil || isTimeout(err) {
		t.Errorf("who came first is still there: %v", err)
	}
	testkit.Eventually(t, patience, "it is counted", func() error {
		if got := s.refused(t)["dawdled"]; got != 1 {
			return fmt.Errorf("%v", s.refused(t))
		}
		return nil
	})
}

// refused counts by reason who was turned away.
func (s *stand) refused(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sallyport_tunnels_refused_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return got
}

// TestWhoLeavesInOrderWasNotRefused: doctor looks whether a websocket opens, and
// closes it again.
func TestWhoLeavesInOrderWasNotRefused(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.ConnectsPerAddress = 1 })
	leave := func(ws *websocket.Conn) {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "doctor")
		if err := ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, _, _ = ws.NextReader() // until the relay closes too
		_ = ws.Close()
	}
	leave(s.dial(t))
	_ = s.dial(t).NetConn().Close()
	testkit.Eventually(t, patience, "who broke off is counted, and nobody else", func() error {
		if got := s.refused(t); len(got) != 1 || got["broken_off"] != 1 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	for range 20 { // it counts as a connect even so
		ws, resp := s.knock(t)
		if ws == nil {
			if resp.StatusCode != http.StatusTooManyRequests {
				t.Error(resp.Status)
			}
			return
		}
		leave(ws)
	}
	t.Error("who leaves in order may come as often as it likes")
}
