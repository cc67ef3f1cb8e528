package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sallyport/relay/connection"
)

// lane lets through one connection as many requests as its limits say. The
// others wait, and their callers take turns (weighted round robin): who has a
// thousand requests waiting delays another's one by one.
type lane struct {
	users int // guarded by lanes.mu

	mu      sync.Mutex // guards the following
	limits  connection.Limits
	rate    *rate.Limiter // nil: none
	running int
	waiting int
	queues  []*queue    // of the callers that wait; the first one's turn is next
	left    int         // turns that the first one still has in this round
	wake    *time.Timer // when the rate lets the next one begin
}

// queue is what one caller has waiting.
type queue struct {
	caller Caller
	turns  []*turn
}

// turn is one request that waits.
type turn struct {
	ready   chan struct{} // closed when it has come, or never will
	refused bool          // it never will: others were let in instead
}

func newLane() *lane {
	l := &lane{}
	l.wake = time.AfterFunc(time.Hour, l.woken)
	l.wake.Stop()
	return l
}

// set takes the limits as they are now: a connection may be changed while
// requests go through it.
func (l *lane) set(limits connection.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits == limits {
		return
	}
	if limits.PerSecond != l.limits.PerSecond || limits.Burst != l.limits.Burst {
		l.rate = nil
		if limits.PerSecond > 0 {
			l.rate = rate.NewLimiter(rate.Limit(limits.PerSecond), max(limits.Burst, 1))
		}
	}
	l.limits = limits
	l.serve()
}

// rested reports whether the lane is as good as new. Nobody uses it.
func (l *lane) rested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate == nil || l.rate.Tokens() >= float64(l.rate.Burst())
}

// turnError is why a request has no turn.
type turnError struct {
	full   bool // as many wait as may; otherwise its time was up, or the caller left
	retry  time.Duration
	waited time.Duration
}

// take waits for the caller's turn, until ctx or the deadline ends, or the
// patience of the limits. Where it has come, release ends it.
func (l *lane) take(ctx context.Context, caller Caller, deadline time.Time) *turnError {
	l.mu.Lock()
	if l.waiting == 0 && l.free() {
		l.running++
		l.mu.Unlock()
		return nil
	}
	t := l.enqueue(caller)
	if t == nil {
		defer l.mu.Unlock()
		return &turnError{full: true, retry: l.estimate()}
	}
	patience := l.limits.Patience()
	l.serve()
	l.mu.Unlock()

	if !deadline.IsZero() {
		patience = min(patience, time.Until(deadline))
	}
	began, timer := time.Now(), time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-t.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch waited := time.Since(began); {
	case t.refused:
		return &turnError{full: true, retry: l.estimate(), waited: waited}
	case l.dequeue(t):
		return &turnError{retry: l.estimate(), waited: waited}
	case ctx.Err() != nil: // it has come, too late
		l.running--
		l.serve()
		return &turnError{waited: waited}
	}
	return nil
}

// release ends a turn.
func (l *lane) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.serve()
}

// reserve takes a place in the rate for another try of a request whose turn it
// is, after the wait, and returns how long that makes the wait. nil: no limits.
// The place is taken now: one that is taken at a later time would fill the rate
// up to then at once, and let others begin before they may.
func (l *lane) reserve(wait time.Duration) time.Duration {
	if l == nil {
		return wait
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == nil {
		return wait
	}
	now := time.Now()
	return max(wait, l.rate.ReserveN(now, 1).DelayFrom(now))
}

// free takes what a request needs to begin, if it is there; mu is held. Where it
// is the rate that has none, wake is set.
func (l *lane) free() bool {
	if l.limits.Concurrent > 0 && l.running >= l.limits.Concurrent {
		return false
	}
	if l.rate == nil {
		return true
	}
	now := time.Now()
	place := l.rate.ReserveN(now, 1)
	delay := place.DelayFrom(now)
	if delay == 0 {
		return true
	}
	place.CancelAt(now)
	l.wake.Reset(delay)
	return false
}

func (l *lane) woken() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve()
}

// serve lets in whom there is room for; mu is held.
func (l *lane) serve() {
	for l.waiting > 0 && l.free() {
		l.running++
		close(l.next().ready)
	}
}

// next takes the request out of the queues whose turn it is; mu is held.
func (l *lane) next() *turn {
	q := l.queues[0]
	if l.left == 0 {
		l.left = q.caller.weight()
	}
	t := q.turns[0]
	q.turns = q.turns[1:]
	l.waiting--
	l.left--
	switch {
	case len(q.turns) == 0:
		l.queues, l.left = l.queues[1:], 0
	case l.left == 0:
		l.queues = append(l.queues[1:], q)
	}
	return t
}

// enqueue lets a request wait. Where the queue is full, it takes the place of
// the last one of whoever has the most waiting, if that is more than its own
// caller has; nil: it can't wait. mu is held.
func (l *lane) enqueue(caller Caller) *turn {
	var mine, longest *queue
	for _, q := range l.queues {
		if q.caller.ID == caller.ID && q.caller.Kind == caller.Kind {
			mine = q
		}
		if longest == nil || len(q.turns) > len(longest.turns) {
			longest = q
		}
	}
	own := 0
	if mine != nil {
		own = len(mine.turns)
	}
	if l.waiting >= l.limits.Waiting() {
		if longest == nil || len(longest.turns) <= own {
			return nil
		}
		last := longest.turns[len(longest.turns)-1]
		last.refused = true
		l.dequeue(last)
		close(last.ready)
	}
	if mine == nil {
		mine = &queue{caller: caller}
		l.queues = append(l.queues, mine)
	}
	t := &turn{ready: make(chan struct{})}
	mine.turns = append(mine.turns, t)
	l.waiting++
	return t
}

// dequeue takes out a request that waits; false: it does not. mu is held.
func (l *lane) dequeue(t *turn) bool {
	for i, q := range l.queues {
		at := slices.Index(q.turns, t)
		if at < 0 {
			continue
		}
		q.turns = slices.Delete(q.turns, at, at+1)
		l.waiting--
		if len(q.turns) == 0 {
			l.queues = slices.Delete(l.queues, i, i+1)
			if i == 0 {
				l.left = 0
			}
		}
		return true
	}
	return false
}

// estimate is when it is worth to try again; mu is held. How long requests take
// is not known, only at which rate they begin.
func (l *lane) estimate() time.Duration {
	const soon, late = 2 * time.Second, time.Hour
	if l.limits.PerSecond == 0 {
		return soon
	}
	seconds := float64(l.waiting+1) / l.limits.PerSecond
	return min(max(time.Duration(seconds*float64(time.Second)), time.Second), late)
}
