package hub_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
)

// TestTunnelThatComesWhileTheRelayLeavesIsAsked to be replaced, though it was not
// on the list yet when the others were.
func TestTunnelThatComesWhileTheRelayLeavesIsAsked(t *testing.T) {
	var s *stand
	var leave atomic.Bool
	s = newStand(t, func(o *hub.Options) {
		o.Heartbeat = time.Minute // nobody else asks the clock meanwhile
		o.Clock = func() time.Time {
			if leave.CompareAndSwap(true, false) {
				s.hub.Leave()
			}
			return time.Now()
		}
	})
	ws := s.dial(t)
	hello := encode(t, s.hello())
	write(t, ws, hello)
	challenge := read(t, ws)
	leave.Store(true) // once the tunnel is made, and before it is on the list
	write(t, ws, encode(t, &proto.Proof{Signature: proto.Sign(s.key, hello, challenge)}))
	if _, err := proto.Expect[*proto.Welcome](read(t, ws)); err != nil {
		t.Fatal(err)
	}
	if raw := string(read(t, ws)); !strings.Contains(raw, `"drain"`) {
		t.Errorf("the agent is told %s", raw)
	}
}
