package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// How far this machine's clock may be off. From clockWarn on, short-lived
// tokens and certificates of applications begin to fail, and logs of the two
// ends no longer match; from clockFail on, certificates of the relay may.
const (
	clockWarn = 30 * time.Second
	clockFail = 5 * time.Minute
)

// dated is one answer's Date, beside this machine's clock.
type dated struct {
	ahead   time.Duration // this clock less the relay's
	unknown time.Duration // up to which that is not known, either way
}

// noteDate keeps what an answer says of the time. Its Date is cut to whole
// seconds (RFC 9110, section 5.6.7) and was written at some moment of the round
// trip. The age of an answer from a cache says nothing about now.
func (e *examination) noteDate(h http.Header, asked time.Time, took time.Duration) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return
	}
	middle := asked.Add(took / 2)
	e.dates = append(e.dates, dated{
		ahead:   middle.Sub(date.Add(500 * time.Millisecond)),
		unknown: took/2 + 500*time.Millisecond,
	})
}

// clock compares this machine's clock with the relay's.
func (e *examination) clock(ctx context.Context) {
	host := hostOf(e.relay)
	if e.blocked != "" && e.doubtful {
		e.unverified(ctx)
	}
	if len(e.dates) == 0 {
		why := "no answer of the relay holds a date"
		if e.blocked != "" {
			why = "needs " + e.blocked + ", which failed"
		}
		e.skip(CheckClock, host, why)
		return
	}
	e.check(CheckClock, host, func(r *Result) {
		best := e.dates[0]
		for _, d := range e.dates {
			if d.unknown < best.unknown {
				best = d
			}
		}
		r.Facts["aheadMs"], r.Facts["uncertaintyMs"] = best.ahead.Milliseconds(), best.unknown.Milliseconds()
		const remedy = "Set this machine's clock by NTP (chrony, systemd-timesyncd or Windows Time), and allow UDP port 123 to a time server."
		// What can't be told from the round trip is not held against the clock.
		off := max(best.ahead.Abs()-best.unknown, 0)
		direction := "ahead of"
		if best.ahead < 0 {
			direction = "behind"
		}
		message := fmt.Sprintf("This machine's clock is %s %s the relay's.", best.ahead.Abs().Round(time.Second), direction)
		switch {
		case off > clockFail:
			r.fail(message, remedy)
		case off > clockWarn:
			r.warn(message, remedy)
		case off == 0:
			r.pass("This machine's clock agrees with the relay's.")
		default:
			r.pass(message)
		}
	})
}
