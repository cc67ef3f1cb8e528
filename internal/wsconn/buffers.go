package wsconn

import "sync"

// Buffers are lent to connections that have something to send, of a length by
// that of their messages: where thousands of lines are slow, none should hold
// what only a fast one fills.
var (
	shortBuffers  = sync.Pool{New: func() any { return new([leastMessage]byte) }}
	middleBuffers = sync.Pool{New: func() any { return new([firstMessage]byte) }}
	longBuffers   = sync.Pool{New: func() any { return new([MaxMessage]byte) }}
)

// lend returns an empty buffer with room for a message of so many bytes.
func lend(size int) []byte {
	switch {
	case size <= leastMessage:
		return shortBuffers.Get().(*[leastMessage]byte)[:0]
	case size <= firstMessage:
		return middleBuffers.Get().(*[firstMessage]byte)[:0]
	default:
		return longBuffers.Get().(*[MaxMessage]byte)[:0]
	}
}

// giveBack ends the loan of a buffer that lend has returned.
func giveBack(b []byte) {
	switch cap(b) {
	case leastMessage:
		shortBuffers.Put((*[leastMessage]byte)(b[:leastMessage]))
	case firstMessage:
		middleBuffers.Put((*[firstMessage]byte)(b[:firstMessage]))
	case MaxMessage:
		longBuffers.Put((*[MaxMessage]byte)(b[:MaxMessage]))
	}
}
