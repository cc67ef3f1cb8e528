package session

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"sallyport/proto"
)

// The wait after a sign-in that the application refused. Applications lock an
// account after three to five wrong passwords within some ten minutes, so the
// second failure already waits, and the fifth waits a quarter of an hour. An
// application that is in trouble itself (5xx, 429) locks nobody out; it is
// asked at least once a minute.
const (
	backoffFirst   = 15 * time.Second // after the second failure; none after the first
	backoffFactor  = 4
	backoffMost    = 15 * time.Minute
	backoffTrouble = time.Minute
)

// State tells whether a connection's sign-in fails. The zero State: it does
// not, as far as is known.
type State struct {
	Failures int       // in a row
	Since    time.Time // of the first of them
	NextTry  time.Time // before then, requests fail without a sign-in
	Detail   string    // of the last failure, for a person
}

// backoff counts the failures of one connection.
type backoff struct {
	settings string // digest of the connection that failed; other settings start anew
	failures int
	since    time.Time
	next     time.Time
	last     *Failed
}

// fail counts a failure.
func (b *backoff) fail(settings string, why *Failed, now time.Time) {
	if b.settings != settings || b.failures == 0 {
		*b = backoff{settings: settings, since: now}
	}
	b.failures++
	b.last = why.summary()
	b.next = now.Add(delay(b.failures, why.Status()))
}

// delay is how long to wait after the n-th failure in a row.
func delay(n, status int) time.Duration {
	if n <= 1 {
		return 0
	}
	most := backoffMost
	if status >= 500 || status == 429 {
		most = backoffTrouble
	}
	d := backoffFirst
	for i := 2; i < n && d < most; i++ {
		d *= backoffFactor
	}
	return min(d, most)
}

// refuse is the error of a request that comes before the next try.
func (b *backoff) refuse(settings string, now time.Time) error {
	if b.failures == 0 || b.settings != settings || !now.Before(b.next) {
		return nil
	}
	return signInFailed(b.last, b.next)
}

func (b *backoff) state() State {
	s := State{Failures: b.failures, Since: b.since, NextTry: b.next}
	if b.last != nil {
		s.Detail = b.last.Detail
	}
	return s
}

// callersError is a failed sign-in as a sender of requests is told of it: his
// own request has not been sent.
func (k *Keeper) callersError(err error, next time.Time) error {
	var refused *Failed
	if errors.As(err, &refused) {
		return signInFailed(refused, next)
	}
	failure := *proto.AsError(err)
	failure.Outcome = proto.OutcomeNotSent
	return &failure
}

// Facts of an error with the code sign_in_failed.
const (
	FactStatus  = "status"  // that the application answered the sign-in with
	FactWhy     = "why"     // a Why
	FactNextTry = "nextTry" // RFC 3339; absent: at once
)

// signInFailed is what a request fails with for want of a session.
func signInFailed(why *Failed, next time.Time) *proto.Error {
	if why.Why == NeedsPerson {
		return &proto.Error{
			Code: proto.CodeSignInNeeded, Detail: why.Detail, Outcome: proto.OutcomeNotSent, Err: why.summary(),
			Hint:  "Open the connection's page and press “Sign in with the application”. Until then, requests through it fail so at once.",
			Facts: map[string]string{FactWhy: string(why.Why)},
		}
	}
	e := &proto.Error{
		Code: proto.CodeSignInFailed, Detail: why.Detail, Outcome: proto.OutcomeNotSent, Err: why.summary(),
		Hint:  "Test the connection: it shows the sign-in and what to change.",
		Facts: map[string]string{FactStatus: strconv.Itoa(why.Status()), FactWhy: string(why.Why)},
	}
	if next.After(why.at) {
		e.Facts[FactNextTry] = next.UTC().Format(time.RFC3339)
		e.Detail += fmt.Sprintf(" To keep the account from being locked, the sign-in is not tried again before %s; a test of the connection tries at once.",
			next.UTC().Format("15:04:05 UTC on 2006-01-02"))
	}
	return e
}
