package session

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sallyport/proto"
)

// The wait after a sign-in that the application refused. Applications lock an
// account after three to five wrong passwords within some ten minutes, so the
// second failure already waits, and the fifth waits a quarter of an hour. An
// application that is in trouble itself (5xx, 429), or that was not even sent
// the credentials, locks nobody out; it is asked at least once a minute.
const (
	backoffFirst   = 15 * time.Second // after the second failure; none after the first
	backoffFactor  = 4
	backoffMost    = 15 * time.Minute
	backoffTrouble = time.Minute
)

// backoff is how one connection's last sign-ins went. It goes from relay to
// relay, as JSON, with the turn to sign in.
type backoff struct {
	// Settings is the digest of the connection that failed; other settings
	// start anew.
	Settings string    `json:"settings,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Next     time.Time `json:"next,omitzero"`
	Last     *failure  `json:"last,omitempty"`
	// SignIns are the times of sign-ins within the last minute, failed ones
	// included.
	SignIns []time.Time `json:"signIns,omitempty"`
}

// failure is what is kept of a Failed. Its Detail has secrets masked.
type failure struct {
	Why    Why       `json:"why"`
	Detail string    `json:"detail"`
	Status int       `json:"status"`
	At     time.Time `json:"at"`
}

func (f *failure) failed() *Failed {
	return &Failed{Why: f.Why, Detail: f.Detail, status: f.Status, at: f.At}
}

// fail counts a failure.
func (b *backoff) fail(settings string, why *Failed, now time.Time) {
	if b.Settings != settings || b.Failures == 0 {
		*b = backoff{Settings: settings, Since: now, SignIns: b.SignIns}
	}
	b.Failures++
	b.Last = &failure{Why: why.Why, Detail: why.Detail, Status: why.Status(), At: why.at}
	status := why.Status()
	if why.harmless {
		status = 503
	}
	b.Next = now.Add(delay(b.Failures, status))
}

// succeed forgets failures.
func (b *backoff) succeed() { *b = backoff{SignIns: b.SignIns} }

// count notes that a sign-in begins.
func (b *backoff) count(now time.Time) {
	b.SignIns = append(b.recent(now), now)
}

// recent are the sign-ins of the last minute.
func (b *backoff) recent(now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(b.SignIns), func(at time.Time) bool { return now.Sub(at) >= time.Minute })
}

// newer is b or other, whichever knows of the later sign-in.
func (b backoff) newer(other backoff) backoff {
	last := func(b backoff) time.Time {
		if n := len(b.SignIns); n > 0 {
			return b.SignIns[n-1]
		}
		if b.Last != nil {
			return b.Last.At
		}
		return time.Time{}
	}
	if last(other).After(last(b)) {
		return other
	}
	return b
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

// refuse is the error of a request that comes before the next try, or after as
// many sign-ins as the connection allows in a minute.
func (b *backoff) refuse(settings string, most int, now time.Time) error {
	if b.Failures > 0 && b.Settings == settings && now.Before(b.Next) {
		return signInFailed(b.Last.failed(), b.Next)
	}
	if recent := b.recent(now); len(recent) >= most {
		return tooOften(len(recent), recent[len(recent)-most].Add(time.Minute), now)
	}
	return nil
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
	FactWhy     = "why"     // a Why, or WhyTooOften
	FactNextTry = "nextTry" // RFC 3339; absent: at once
)

// WhyTooOften: the connection's most sign-ins in a minute have been made.
const WhyTooOften = "too_often"

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

// tooOften is what a request fails with that would need one sign-in too many.
func tooOften(n int, next, now time.Time) *proto.Error {
	return &proto.Error{
		Code: proto.CodeSignInFailed, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The relay has signed in %d times within a minute, which is as often as this connection allows; it may again in %s.", n, inWords(next.Sub(now))),
		Hint:   "Find out why its sessions end so quickly: the application may allow one session for each account, or a status code that ends sessions (auth.session.endedStatusCodes) may mean something else there.",
		Facts:  map[string]string{FactWhy: WhyTooOften, FactNextTry: next.UTC().Format(time.RFC3339)},
	}
}
