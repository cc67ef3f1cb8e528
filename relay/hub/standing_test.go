package hub

import (
	"testing"
	"time"
)

func TestBetterTunnelIsTheOneWithLessToDoThenTheNearerThenTheWarm(t *testing.T) {
	const near, far = 20 * time.Millisecond, 90 * time.Millisecond
	for _, c := range []struct {
		name       string
		one, other standing
		one1st     bool // one is the better
		other1st   bool
	}{
		{"equal", standing{}, standing{}, false, false},
		{"less to do", standing{load: 1, rtt: far}, standing{load: 2, warm: true, rtt: near}, true, false},
		{"warm", standing{warm: true}, standing{}, true, false},
		{"both warm", standing{warm: true}, standing{warm: true}, false, false},
		{"warm, and little farther", standing{warm: true, rtt: near + near}, standing{rtt: near}, true, false},
		{"warm, but much farther", standing{warm: true, rtt: far}, standing{rtt: near}, false, true},
		{"warm, and farther on a short path", standing{warm: true, rtt: 3 * time.Millisecond}, standing{rtt: time.Millisecond}, true, false},
		{"warm, the other is not measured", standing{warm: true, rtt: far}, standing{}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.one.better(c.other); got != c.one1st {
				t.Errorf("one is better: %v, want %v", got, c.one1st)
			}
			if got := c.other.better(c.one); got != c.other1st {
				t.Errorf("the other is better: %v, want %v", got, c.other1st)
			}
		})
	}
}
