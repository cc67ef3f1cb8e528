package gateway

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/retry"
	"sallyport/proto"
)

// deliver sends the request by the session held, and again where the connection
// asks for it, it is safe and there is time. The last answer counts.
func (p *passage) deliver() (*http.Response, *proto.Error) {
	settings := p.c.Requests.Retry
	if !settings.Any() {
		return p.send()
	}
	backoff := retry.Backoff{First: settings.Backoff(), Limit: settings.MaxBackoff(), Rand: rand.Float64}
	began := time.Now()
	var reached proto.Outcome // by a try before: "" for not at all
	for {
		if p.tries > 0 {
			p.retrying = time.Since(began)
		}
		resp, failure := p.send()
		asked, may := p.mayRepeat(resp, failure)
		wait := max(backoff.Next(), asked)
		if !may || p.tries >= settings.Attempts || asked > settings.MaxBackoff() || !p.hasTime(wait) || !p.body.rewind() {
			return resp, p.wholly(failure, reached)
		}
		if resp != nil {
			discard(resp)
			reached = proto.OutcomeSent
		} else if failure.Outcome != proto.OutcomeNotSent {
			reached = failure.Outcome
		}
		if err := p.pause(p.lane.reserve(wait)); err != nil {
			return nil, p.wholly(err, reached)
		}
	}
}

// mayRepeat reports whether a try that ended like this may be followed by
// another, and how long the other end asks to be left alone before. What the
// application may have acted on is sent again only where that does no harm
// (RFC 9110, section 9.2.2).
func (p *passage) mayRepeat(resp *http.Response, failure *proto.Error) (asked time.Duration, may bool) {
	idempotent := proto.Idempotent(p.r.Method)
	if failure == nil {
		switch resp.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return retryAfter(resp.Header, p.g.clock()), idempotent
		}
		return 0, false
	}
	safe := failure.Outcome == proto.OutcomeNotSent
	switch failure.Code {
	case proto.CodeTargetTimeout:
		may = safe
	case proto.CodeTargetDNS:
		may = safe && failure.Reason == proto.ReasonDNSFailed // a name that is unknown stays so
	case proto.CodeTargetRefused, proto.CodeTargetUnreachable, proto.CodeTunnelLost:
		may = safe || idempotent && failure.Outcome == proto.OutcomeUnknown
	case proto.CodeTooManyRequests: // of the agent, or by its site's rules
		asked, _ = deltaSeconds(failure.Facts["retryAfter"])
		may = safe
	}
	return asked, may
}

// wholly is the failure of the last try, said of the whole request: it may have
// reached the application by a try before.
func (p *passage) wholly(failure *proto.Error, reached proto.Outcome) *proto.Error {
	if failure != nil && failure.Outcome == proto.OutcomeNotSent && reached != "" {
		failure.Outcome = reached
	}
	return failure
}

// hasTime reports whether something can still be done after the wait.
func (p *passage) hasTime(wait time.Duration) bool {
	then := time.Now().Add(wait)
	if !p.deadline.IsZero() && !then.Before(p.deadline) {
		return false
	}
	end, bounded := p.ctx.Deadline()
	return p.ctx.Err() == nil && (!bounded || then.Before(end))
}

// pause waits before the next try.
func (p *passage) pause(wait time.Duration) *proto.Error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var late <-chan time.Time
	if !p.deadline.IsZero() { // the rate of the connection may have made it longer
		over := time.NewTimer(time.Until(p.deadline))
		defer over.Stop()
		late = over.C
	}
	select {
	case <-timer.C:
		return nil
	case <-late:
		return p.outOfTime("retry", "while it waited to be tried again")
	case <-p.ctx.Done():
		e := p.failure(p.ctx.Err())
		e.Outcome = proto.OutcomeNotSent
		return e
	}
}

// tellAttempts says how often the request was tried, where it may be more than
// once.
func (p *passage) tellAttempts(h http.Header) {
	if p.c.Requests.Retry.Any() {
		h[proto.HeaderAttempts] = []string{strconv.Itoa(p.tries)}
	}
}

// retryAfter is how long an answer asks to be left alone (RFC 9110, section
// 10.2.3): in seconds, or until a date, which is compared to the answer's own
// where it has one, since clocks differ. 0: it does not ask.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if wait, ok := deltaSeconds(value); ok {
		return wait
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return max(until.Sub(now), 0)
}
