package mux

import (
	"time"

	"github.com/hashicorp/yamux"

	"sallyport/internal/wsconn"
)

// Chunk is the most that one frame carries, in bytes. yamux itself would put a
// whole window into one, and every other stream would wait for it. Four chunks
// with their headers fill the longest websocket message.
const Chunk = wsconn.MaxMessage/4 - headerSize

// sharedChunk is the most of a frame while other streams write, too.
const sharedChunk = wsconn.MaxMessage/8 - headerSize

// chunk is how much of n bytes the next frame is to carry: less where others wait
// for their turn, and where the line is slow, on which somebody soon may.
func (s *Session) chunk(n int) int {
	most := min(s.conn.MessageSize()-headerSize, Chunk)
	if s.writers.Load() > 1 {
		most = min(most, sharedChunk)
	}
	if n <= most+most/8 { // a little rest is not worth a frame
		return n
	}
	return most
}

// Stream is one request and its answer.
type Stream struct {
	*yamux.Stream
	session *Session
	framer  *framer
}

// Read reads what has come, and lets the other end send more.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if w := s.session.windows; w != nil && n > 0 {
		if more := w.drained(s.StreamID(), n); more > 0 {
			s.framer.announce(s.StreamID(), more)
		}
	}
	return n, err
}

// Costly reports whether the stream has a large window while there is little
// left of the budget: such a one is better closed than kept.
func (s *Stream) Costly() bool {
	w := s.session.windows
	return w != nil && w.costly(s.StreamID())
}

// Write writes p in chunks.
func (s *Stream) Write(p []byte) (int, error) {
	s.session.writers.Add(1)
	defer s.session.writers.Add(-1)
	total := 0
	for {
		n, err := s.Stream.Write(p[total : total+s.session.chunk(len(p)-total)])
		total += n
		if err != nil {
			s.session.check(err)
			return total, err
		}
		if total == len(p) {
			return total, nil
		}
	}
}

// Close closes this end's half: nothing more is written, and what may still be
// read is not made room for. It does not wait where many frames do.
func (s *Stream) Close() error {
	if w := s.session.windows; w != nil {
		w.release(s.StreamID())
	}
	s.session.closing(s)
	if s.session.crowded() {
		go func() { _ = s.close() }() // ends with the session at the latest
		return nil
	}
	return s.close()
}

func (s *Stream) close() error {
	s.session.writers.Add(1)
	defer s.session.writers.Add(-1)
	return s.Stream.Close()
}

// Abort closes the stream and wakes whoever reads from or writes to it. Close
// alone leaves a reader waiting for the other end.
func (s *Stream) Abort() {
	s.release()
	_ = s.Close()
}

func (s *Stream) release() { _ = s.SetDeadline(time.Unix(1, 0)) } // can't fail

// SessionEnded reports whether the whole session is gone. yamux gives readers
// of its streams a plain io.EOF then.
func (s *Stream) SessionEnded() bool { return s.session.IsClosed() }
