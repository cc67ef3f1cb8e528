package peer

import (
	"context"
	"testing"
)

func TestWhoFallsBehindIsToldThatEventsWereLost(t *testing.T) {
	var c callers
	line, ok := c.enter()
	if !ok {
		t.Fatal("not let in")
	}
	for range eventsAhead + 3 { // nobody reads
		c.tell(notice{Event: &news{ID: "con_1"}})
	}
	if n := len(line); n != eventsAhead {
		t.Errorf("%d events wait", n)
	}
	for range noticesAhead { // agents may still come
		c.tell(notice{Arrived: "agt_1"})
	}
	if n := len(line); n != noticesAhead {
		t.Errorf("%d notices wait", n)
	}
	c.tell(notice{Leaving: true}) // and there is always room for the last
	missed := 0
	for range len(line) {
		if n := <-line; n.Missed {
			missed++
		}
	}
	if missed != 1 {
		t.Errorf("told %d times", missed)
	}
	if _, ok := c.enter(); ok {
		t.Error("let in by a relay that stops")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c.gone(ctx) == nil {
		t.Error("not waited for")
	}
	c.leave(line)
	if err := c.gone(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-c.over():
	default:
		t.Error("what lasts does not end")
	}
}
