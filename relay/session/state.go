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
	// Limited: none has failed, but there were as many within a minute as the
	// connection allows. Since is then the first of these. Inspect looks at it.
	Limited bool
}

func (b *backoff) state(now time.Time) State {
	s := State{Failures: b.Failures, Since: b.Since, NextTry: b.Next, SignIns: len(b.recent(now))}
	if b.Last != nil {
		s.Detail = b.Last.Detail
	}
	return s
}

// limit tells of the recent sign-ins where they are as many as may be in a minute.
func (s *State) limit(recent []time.Time, most int) {
	if n := len(recent); s.Failures == 0 && n >= most {
		s.Limited, s.Since, s.NextTry = true, recent[n-most], recent[n-most].Add(time.Minute)
	}
}

// Words are the state for a person, "" where a sign-in is made as soon as one is
// needed, as far as is known.
func (s State) Words(now time.Time) string {
	switch {
	case s.Limited && now.Before(s.NextTry):
		return fmt.Sprintf("Waiting %s after %d sign-ins within a minute, which is as many as the connection allows.", inWords(s.NextTry.Sub(now)), s.SignIns)
	case s.Failures == 0:
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
