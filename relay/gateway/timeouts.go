package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// bound tells the end of the road how long the request may take, where the
// connection says so: it is nearer to the application, and can name the stage
// at which the time was up.
func (p *passage) bound(h http.Header) {
	t := p.c.Requests.Timeouts
	if t == (connection.Timeouts{}) {
		return
	}
	stages := proto.FormatTimeouts(proto.Timeouts{
		Connect:   time.Duration(t.ConnectMs) * time.Millisecond,
		FirstByte: time.Duration(t.FirstByteMs) * time.Millisecond,
		Idle:      time.Duration(t.IdleMs) * time.Millisecond,
	})
	if stages != "" {
		h[proto.HeaderTimeouts] = []string{stages}
	}
	if !p.deadline.IsZero() {
		left := max(time.Until(p.deadline), time.Millisecond)
		h[proto.HeaderTimeout] = []string{strconv.FormatInt(left.Milliseconds(), 10)}
	}
}

// outOfTime is the failure of a request whose time is up before it could be
// sent.
func (p *passage) outOfTime(stage, doing string) *proto.Error {
	e := &proto.Error{
		Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The request took longer than %s: the time was up %s.", p.c.Requests.Timeouts.Total(), doing),
		Facts:  map[string]string{"stage": stage, "timeout": proto.TimeoutTotal},
	}
	p.nameTimeout(e)
	return e
}

// brokeOff is the failure of an answer of which nothing has been passed on. An
// agent that has begun to answer can only break off where the application goes
// silent; that it did so for as long as it may is seen here too, if a little less
// exactly: the header was under way for a moment.
func (p *passage) brokeOff(err error) *proto.Error {
	e := p.failure(err)
	e.Outcome = proto.OutcomeSent // it was answered
	idle := time.Duration(p.c.Requests.Timeouts.IdleMs) * time.Millisecond
	if idle > 0 && e.Code == proto.CodeTargetUnreachable && time.Since(p.answered) >= idle-idle/10 {
		e.Code, e.Reason = proto.CodeTargetTimeout, proto.ReasonTimeout
		e.Detail = fmt.Sprintf("%s was idle for %s while its answer was read.", p.target.Host, idle)
		e.Facts = map[string]string{"stage": "body", "timeout": proto.TimeoutIdle}
		p.nameTimeout(e)
	}
	return e
}

// nameTimeout says of a target_timeout which setting of the connection would
// have allowed more.
func (p *passage) nameTimeout(e *proto.Error) {
	timeout := e.Facts["timeout"]
	if timeout == "" && !p.deadline.IsZero() && !time.Now().Before(p.deadline) {
		timeout = proto.TimeoutTotal // the road's own end of it
	}
	if timeout == "" {
		return
	}
	setting := "requests.timeouts." + timeout + "Ms"
	facts := maps.Clone(e.Facts) // the road may share one error among requests
	if facts == nil {
		facts = map[string]string{}
	}
	facts["timeout"], facts["setting"] = timeout, setting
	e.Facts = facts
	if e.Hint != "" {
		e.Hint += " "
	}
	e.Hint += "To allow more time, raise " + setting + " of the connection."
}
