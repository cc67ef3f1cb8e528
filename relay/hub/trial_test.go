package hub_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

func (s *stand) dialTrial(t *testing.T) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{proto.TrialSubprotocol}, HandshakeTimeout: 10 * time.Second}
	ws, resp, err := dialer.Dial("ws://"+s.host(), nil)
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
	}
	return ws, resp, err
}

func TestATrialIsHeldInSilenceAndAnswersPings(t *testing.T) {
	s := newStand(t, nil)
	ws, _, err := s.dialTrial(t)
	if err != nil {
		t.Fatal(err)
	}
	if ws.Subprotocol() != proto.TrialSubprotocol {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	answered := make(chan struct{})
	ws.SetPongHandler(func(string) error { close(answered); return nil })
	if err := ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := ws.NextReader()
		ended <- err
	}()
	select {
	case <-answered:
	case err := <-ended:
		t.Fatalf("the trial ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("no answer to a ping")
	}
	// A message is more than a trial may send.
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a trial that sends messages is not ended")
	}
}

func TestTrialsAreFewAtOnce(t *testing.T) {
	s := newStand(t, nil)
	var last *websocket.Conn
	for i := range 4 { // from one address
		ws, _, err := s.dialTrial(t)
		if err != nil {
			t.Fatalf("trial %d: %v", i+1, err)
		}
		last = ws
	}
	_, resp, err := s.dialTrial(t)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("one too many: %v, %v", resp, err)
	}
	if s.dial(t).Subprotocol() != proto.Subprotocol {
		t.Error("trials keep agents out")
	}
	_ = last.Close()
	testkit.Eventually(t, 10*time.Second, "the place of a trial that ended is free", func() error {
		_, _, err := s.dialTrial(t)
		return err
	})
}

func TestTrialsEndWithTheHub(t *testing.T) {
	s := newStand(t, nil)
	ws, _, err := s.dialTrial(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.hub.Close(); err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, _, err := ws.NextReader(); err == nil || isTimeout(err) {
		t.Errorf("the trial goes on: %v", err)
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
