package session

import (
	"fmt"
	"strconv"
	"time"
)

// State tells whether a connection's sign-in fails. The zero State: it does
// not, as far as is known.
type State struct {
	Failures int       // in a row
	Since    time.Time // of the first of them
	NextTry  time.Time // before then, requests fail without a sign-in
	Detail   string    // of the last failure, for a person
	SignIns  int       // within the last minute
}

func (b *backoff) state(now time.Time) State {
	s := State{Failures: b.Failures, Since: b.Since, NextTry: b.Next, SignIns: len(b.recent(now))}
	if b.Last != nil {
		s.Detail = b.Last.Detail
	}
	return s
}

// Words are the state for a person, "" where the sign-in does not fail.
func (s State) Words(now time.Time) string {
	if s.Failures == 0 {
		return ""
	}
	failed := "1 failed sign-in"
	if s.Failures > 1 {
		failed = strconv.Itoa(s.Failures) + " failed sign-ins"
	}
	if !now.Before(s.NextTry) {
		return "The sign-in fails: " + failed + " in a row. The next request tries again."
	}
	return fmt.Sprintf("Waiting %s after %s, to keep the account from being locked.", inWords(s.NextTry.Sub(now)), failed)
}

// inWords is a time to wait, rounded up: nobody is to come too early.
func inWords(d time.Duration) string {
	if d <= 90*time.Second {
		return fmt.Sprintf("%d s", max(1, int((d+time.Second-1)/time.Second)))
	}
	return fmt.Sprintf("%d min", int((d+time.Minute-1)/time.Minute))
}
