package mux

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestReaderIsLetGoWhenAHeaderCanNotBeSent: yamux writes no body after a header
// that failed, and a reader that is about to announce more room must not wait
// for one.
func TestReaderIsLetGoWhenAHeaderCanNotBeSent(t *testing.T) {
	r := newRestful(t)
	s := newSession(r.relay.Conn(), Options{RTT: 80 * time.Millisecond, Budget: NewBudget(1 << 20)})
	_ = r.relay.Close()
	header := make([]byte, headerSize)
	binary.BigEndian.PutUint32(header[8:], 1000) // the length of a body
	if _, err := s.framer.Write(header); err == nil {
		t.Fatal("a closed connection took a header")
	}
	announced := make(chan struct{})
	go func() {
		s.framer.announce(2, 1000)
		close(announced)
	}()
	select {
	case <-announced:
	case <-time.After(10 * time.Second):
		s.framer.turn.Unlock()
		t.Fatal("the reader waits for ever")
	}
}
