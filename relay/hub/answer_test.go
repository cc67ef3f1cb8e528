package hub

import (
	"context"
	"io"
	"testing"

	"sallyport/internal/mux"
)

// TestCloseBesideAReadLeavesTheStreamAlone: the Read may have found the end of
// the answer and given the stream on to the next request.
func TestCloseBesideAReadLeavesTheStreamAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := context.AfterFunc(ctx, func() { t.Error("the stream was aborted") })
	// The stream of no session: whoever touches it fails.
	x := &exchange{ctx: ctx, cancel: cancel, stop: stop, stream: &mux.Stream{}}
	b := &answerBody{x: x}
	b.mu.Lock() // a Read is under way,
	b.done = io.EOF
	stop() // and end keeps the stream
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	<-ctx.Done() // Close is there, and waits for the Read
	b.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
}
