package mux

import (
	"bytes"
	"context"
)

// crowd is how many frames may be waiting for their turn before it is worth a
// goroutine not to wait with them: on 64 kbit/s each takes 4 s.
const crowd = 8

func (s *Session) crowded() bool { return s.writers.Load() >= crowd }

// OpenStreamContext is OpenStream for who will not wait longer than ctx lasts.
// A frame that waits for its turn can't be called back; the stream is then
// closed as soon as it is open.
func (s *Session) OpenStreamContext(ctx context.Context) (*Stream, error) {
	if !s.crowded() {
		return s.OpenStream()
	}
	type opened struct {
		stream *Stream
		err    error
	}
	// Like all that waits in a session, it ends with it at the latest.
	done := make(chan opened)
	go func() {
		stream, err := s.OpenStream()
		select {
		case done <- opened{stream, err}:
		case <-ctx.Done():
			if err == nil {
				_ = stream.Close()
			}
		}
	}()
	select {
	case o := <-done:
		return o.stream, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// WriteContext is Write for who will not wait longer than ctx lasts. After that
// nothing is known of what was written, and the stream is only to be aborted.
func (s *Stream) WriteContext(ctx context.Context, p []byte) (int, error) {
	if !s.session.crowded() {
		return s.Write(p)
	}
	type written struct {
		n   int
		err error
	}
	done := make(chan written, 1)
	p = bytes.Clone(p) // the caller has it back before the frame is made
	go func() {
		n, err := s.Write(p)
		done <- written{n, err}
	}()
	select {
	case w := <-done:
		return w.n, w.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
