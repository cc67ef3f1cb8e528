package gateway

import (
	"fmt"
	"strconv"
	"time"

	"sallyport/proto"
)

// Reasons of a request that has no turn at its connection. Facts: waiting (how
// many may), retryAfter (seconds).
const (
	ReasonQueueFull proto.Reason = "connection_queue_full"
	ReasonQueueSlow proto.Reason = "connection_queue_slow"
)

// noTurn is the failure of a request that its connection's limits kept from
// being sent.
func (p *passage) noTurn(err *turnError) *proto.Error {
	l := p.c.Requests.Limits
	switch {
	case !err.full && p.ctx.Err() != nil:
		e := p.failure(p.ctx.Err())
		e.Outcome = proto.OutcomeNotSent
		return e
	case !err.full && !p.deadline.IsZero() && !time.Now().Before(p.deadline):
		return p.outOfTime("queue", "while it waited for its turn")
	}
	bound := fmt.Sprintf("%d requests at once", l.Concurrent)
	switch {
	case l.Concurrent == 0:
		bound = fmt.Sprintf("%g requests in a second", l.PerSecond)
	case l.PerSecond > 0:
		bound += fmt.Sprintf(" and %g in a second", l.PerSecond)
	}
	e := &proto.Error{
		Code: proto.CodeTooManyRequests, Reason: ReasonQueueFull, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The connection lets through %s, and %d wait for their turn already.", bound, l.Waiting()),
		Hint:   "Send fewer requests at once, or raise requests.limits of the connection.",
		Facts:  map[string]string{"waiting": strconv.Itoa(l.Waiting()), "retryAfter": wholeSeconds(err.retry)},
	}
	if !err.full {
		e.Reason = ReasonQueueSlow
		e.Detail = fmt.Sprintf("The connection lets through %s, and the request's turn did not come within %s.", bound, err.waited.Round(time.Millisecond))
	}
	return e
}

// wholeSeconds is a time as Retry-After has it, rounded up.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
