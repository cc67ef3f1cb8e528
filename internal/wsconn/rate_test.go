package wsconn

import (
	"testing"
	"time"
)

// TestMessageSizeFollowsTheRate by what single messages took to leave.
func TestMessageSizeFollowsTheRate(t *testing.T) {
	const mbit = 1e6 / 8
	for _, c := range []struct {
		name string
		n    func(size int) int // how long the messages are
		rate float64            // bytes a second
		want int
	}{
		{"a fast line", func(size int) int { return size }, 1000 * mbit, MaxMessage},
		{"one in the middle", func(size int) int { return size }, 100 * mbit, 32 << 10},
		{"a slow one", func(size int) int { return size }, 10 * mbit, leastMessage},
		{"short messages on a fast line", func(int) int { return 1 << 10 }, 1000 * mbit, firstMessage},
		{"short messages that are held up", func(int) int { return 1 << 10 }, 0.1 * mbit, leastMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s messageSize
			s.set(firstMessage)
			sent := func(n func(int) int, rate float64) {
				for range 2000 {
					s.sent(n(s.now()), time.Duration(float64(n(s.now()))/rate*float64(time.Second)))
				}
			}
			if sent(c.n, c.rate); s.now() != c.want {
				t.Errorf("messages are of %d bytes, want %d", s.now(), c.want)
			}
			whole := func(size int) int { return size }
			for _, change := range []struct{ mbits, want int }{{1, leastMessage}, {1000, MaxMessage}, {1, leastMessage}} {
				if sent(whole, float64(change.mbits)*mbit); s.now() != change.want {
					t.Errorf("on a line that then has %d Mbit/s they are of %d bytes, want %d", change.mbits, s.now(), change.want)
				}
			}
		})
	}
}

// TestMessageSizeIsNotMisledByBursts: what lies between the ends takes a burst at
// once, and then nothing for a while.
func TestMessageSizeIsNotMisledByBursts(t *testing.T) {
	var s messageSize
	s.set(firstMessage)
	for range 20 { // 1 MiB in 200 ms: 5 MiB/s, of which 5 ms take 26 KiB
		for left := 1 << 20; left > 0; left -= s.now() {
			s.sent(s.now(), 10*time.Microsecond)
		}
		s.sent(s.now(), 200*time.Millisecond)
	}
	if s.now() != leastMessage {
		t.Errorf("messages are of %d bytes", s.now())
	}
}
