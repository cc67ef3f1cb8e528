package health

import (
	"slices"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/probe"
)

var (
	up      = probe.Check{OK: true}
	down    = probe.Check{Step: probe.StepPing, Message: "The ping was answered 500."}
	away    = probe.Check{Step: probe.StepAgent, Code: proto.CodeAgentOffline}
	idle    = probe.Check{Nothing: true}
	refused = probe.Check{Step: probe.StepSignIn, Code: proto.CodeSignInFailed}
)

func TestAStateIsBelievedAfterTwoFailuresAndOneSuccess(t *testing.T) {
	for name, c := range map[string]struct {
		found  []probe.Check
		states []State
		since  int // of the last state: with which check it began
	}{
		"well from the start":            {[]probe.Check{up, up}, []State{Online, Online}, 0},
		"failing from the start":         {[]probe.Check{down, down}, []State{Unknown, Failing}, 0},
		"one failure is none":            {[]probe.Check{up, down, up, down, up}, []State{Online, Online, Online, Online, Online}, 0},
		"two are one":                    {[]probe.Check{up, down, down, down}, []State{Online, Online, Failing, Failing}, 1},
		"a success is believed at once":  {[]probe.Check{down, down, up}, []State{Unknown, Failing, Online}, 2},
		"the agent blinks":               {[]probe.Check{up, away, up}, []State{Online, Online, Online}, 0},
		"the agent is gone":              {[]probe.Check{up, away, away}, []State{Online, Online, Offline}, 1},
		"two doubts of different kinds":  {[]probe.Check{up, away, down, away, away}, []State{Online, Online, Online, Online, Offline}, 3},
		"failing, then the agent goes":   {[]probe.Check{down, down, away, away}, []State{Unknown, Failing, Failing, Offline}, 2},
		"nothing to ask":                 {[]probe.Check{idle, idle}, []State{Unknown, Unknown}, 0},
		"nothing to ask any more":        {[]probe.Check{up, idle}, []State{Online, Unknown}, 1},
		"failing once in a while is not": {[]probe.Check{down, up, down}, []State{Unknown, Online, Online}, 1},
	} {
		is := condition{State: Unknown}
		at := func(i int) time.Time { return time.Unix(int64(i)*60, 0) }
		var states []State
		for i, found := range c.found {
			before := is.State
			changed := is.observe(found, at(i))
			if changed != (is.State != before) {
				t.Errorf("%s: check %d: changed %v, from %s to %s", name, i, changed, before, is.State)
			}
			states = append(states, is.State)
		}
		if !slices.Equal(states, c.states) || !is.Since.Equal(at(c.since)) {
			t.Errorf("%s: %v since check %d, want %v since %d", name, states, is.Since.Unix()/60, c.states, c.since)
		}
	}
}

func TestWhenTheNextPingIsDue(t *testing.T) {
	now := time.Unix(1000, 0)
	const every = 5 * time.Minute
	wait := func(is *condition, found probe.Check, jitter float64) time.Duration {
		is.observe(found, now)
		return is.next(found, every, now, jitter).Sub(now)
	}
	is := &condition{State: Unknown}
	for _, c := range []struct {
		found  probe.Check
		jitter float64
		want   time.Duration
	}{
		{up, 0.5, every},
		{up, 0, every * 9 / 10},
		{up, 1, every * 11 / 10},
		{down, 0.5, confirmAfter}, // a first failure is looked at again
		{down, 0.5, every},
		{up, 0.5, every},
		{refused, 0.5, every}, // a refused sign-in is not, and then ever less often
		{refused, 0.5, 2 * every},
		{refused, 0.5, 4 * every},
		{refused, 0.5, 8 * every},
		{refused, 0.5, time.Hour},
		{refused, 0.5, time.Hour},
		{up, 0.5, every},
	} {
		if got := wait(is, c.found, c.jitter); got.Round(time.Millisecond) != c.want {
			t.Errorf("%+v: in %s, want %s", c.found, got, c.want)
		}
	}
	held := refused
	held.NextSignIn = now.Add(3 * time.Hour)
	if got := wait(is, held, 0.5); got != 3*time.Hour {
		t.Errorf("the sign-in is held back for three hours, the ping is due in %s", got)
	}
	seldom := &condition{State: Unknown}
	seldom.observe(refused, now)
	if got := seldom.next(refused, 24*time.Hour, now, 0).Sub(now); got != 24*time.Hour {
		t.Errorf("once a day, refused: in %s", got)
	}
}

func TestOneThatFlapsIsToldOfSixTimesAnHourAndThenOnce(t *testing.T) {
	var told told
	var changes, summaries []int // minutes
	held := 0
	for minute := range 180 {
		now := time.Unix(int64(minute)*60, 0)
		flaps := minute < 90 // then it is quiet
		switch told.after(flaps, now) {
		case aChange:
			changes = append(changes, minute)
		case aSummary:
			summaries = append(summaries, minute)
			held += told.Held
			told.release()
		}
	}
	if !slices.Equal(changes[:noticesAnHour], []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("told at %v", changes)
	}
	if len(summaries) == 0 || summaries[0] != 60 {
		t.Errorf("summaries at %v", summaries)
	}
	if got := len(changes) + held; got != 90 {
		t.Errorf("%d of 90 changes were told of, %d in summaries", got, held)
	}
	for at := range 180 { // in no hour more than the limit
		n := 0
		for _, told := range append(slices.Clone(changes), summaries...) {
			if told > at-60 && told <= at {
				n++
			}
		}
		if n > noticesAnHour {
			t.Errorf("%d notices in the hour before minute %d", n, at)
		}
	}
	if told.Held != 0 {
		t.Errorf("%d changes are never told", told.Held)
	}
}

func TestAMemoryThatCantBeReadIsTold(t *testing.T) {
	if _, err := readMemory([]byte("{")); err == nil {
		t.Error("it was read")
	}
	if m, err := readMemory(nil); err != nil || m.Worked != nil {
		t.Errorf("%+v, %v", m, err)
	}
}
