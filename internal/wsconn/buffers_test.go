package wsconn

import "testing"

func TestBuffersAreAsLongAsMessages(t *testing.T) {
	for _, c := range []struct{ size, want int }{
		{16 << 10, 16 << 10}, {32 << 10, 64 << 10}, {64 << 10, 64 << 10}, {128 << 10, 256 << 10}, {256 << 10, 256 << 10},
	} {
		for range 3 { // also one that was given back
			b := lend(c.size)
			if len(b) != 0 || cap(b) != c.want {
				t.Errorf("for messages of %d bytes: length %d, capacity %d, want 0 and %d", c.size, len(b), cap(b), c.want)
			}
			giveBack(append(b, "something"...))
		}
	}
}
