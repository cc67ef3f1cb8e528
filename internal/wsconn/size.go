package wsconn

import (
	"net"
	"sync/atomic"
	"time"
)

// messageSize is how long a message may be at present: what the line takes in a
// moment. Who has a small request waits for the message that is being sent, for
// the one that has gathered behind it, and for what the kernel holds unsent; on
// a line of 1 Mbit/s 64 KiB are half a second each. On a fast line it is the
// system calls, and waking whoever reads, that short messages would cost.
//
// Only the flushing goroutine changes it.
type messageSize struct {
	bytes  atomic.Int32
	unsent unsentQueue

	// What has left since the rate was last taken, and in which time.
	left int
	took time.Duration
}

const (
	leastMessage = 16 << 10
	firstMessage = 64 << 10

	// moment is how long a message should take to leave.
	moment = 5 * time.Millisecond

	// The rate is taken of so many bytes or of so long a time, whichever comes
	// first: what is between the two ends can hold megabytes, takes them at
	// once, and nothing for a while then.
	manyBytes = 8 << 20
	longTime  = 50 * time.Millisecond

	// mostUnsent is the most that the kernel is left to have unsent: more makes
	// nothing faster.
	mostUnsent = 128 << 10
)

func (s *messageSize) begin(conn net.Conn) {
	s.unsent = newUnsentQueue(conn)
	s.set(firstMessage)
}

func (s *messageSize) now() int { return int(s.bytes.Load()) }

// sent takes in how long a message of n bytes took to leave. The kernel takes at
// once what it has room for: that it takes long says that those before have not
// left. So a short one that is quick says nothing of longer ones.
func (s *messageSize) sent(n int, took time.Duration) {
	if n < s.now()/2 && took < longTime {
		return
	}
	s.left += n
	s.took += took
	if s.left < manyBytes && s.took < longTime {
		return
	}
	fits := float64(s.left) * float64(moment) / float64(max(s.took, 1))
	size := leastMessage
	for size < MaxMessage && float64(2*size) <= fits {
		size *= 2
	}
	s.left, s.took = 0, 0
	if size != s.now() {
		s.set(size)
	}
}

// set leaves the kernel a message to have unsent, so that there is always
// something while the next is made.
func (s *messageSize) set(size int) {
	s.bytes.Store(int32(size))
	s.unsent.limit(min(size, mostUnsent))
}

// MessageSize is how long a message may be at present, in bytes: more than one
// of it should not be sent in one piece, where others want their turn.
func (c *Conn) MessageSize() int { return c.size.now() }
