package doctor

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"slices"
	"time"
)

// samples is how many round trips are measured: enough for a median that one
// hiccup does not move.
const samples = 7

// slowTrip is from where a round trip is worth a word: every request to an
// application behind this agent takes one more.
const slowTrip = 500 * time.Millisecond

// roundTrip measures small requests over one kept connection.
func (e *examination) roundTrip(ctx context.Context) {
	e.onTheWay(CheckRoundTrip, hostOf(e.relay), func(r *Result) {
		var took []time.Duration
		lost, opened := 0, 0
		for i := 0; i <= samples; i++ {
			reused := false
			traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
			a, err := e.get(traced, "healthz")
			switch {
			case err != nil:
				lost++
			case !reused: // it took the opening of a connection too
				opened++
			default:
				took = append(took, a.took)
			}
			if ctx.Err() != nil || len(took) == samples {
				break
			}
		}
		e.judgeTrips(r, took, lost, opened)
	})
}

// judgeTrips settles r. The first connection may be a new one; more than that
// means that something does not keep them.
func (e *examination) judgeTrips(r *Result, took []time.Duration, lost, opened int) {
	r.Facts["samples"], r.Facts["lost"], r.Facts["newConnections"] = len(took)+lost+opened, lost, opened
	if len(took) == 0 {
		if lost > 0 {
			r.fail(fmt.Sprintf("None of %d requests over one connection was answered.", lost), "The connection breaks as soon as it is used: look at devices on the way, and at the relay's log.")
		} else {
			r.warn("Every request needed a new connection.", "A device on the way does not keep connections open: have "+e.relay.Hostname()+" exempted from inspection.")
		}
		return
	}
	slices.Sort(took)
	median, least, most := took[len(took)/2], took[0], took[len(took)-1]
	r.Facts["medianMs"], r.Facts["minMs"], r.Facts["maxMs"] = ms(median), ms(least), ms(most)
	message := fmt.Sprintf("A round trip takes %.1f ms (median of %d; %.1f to %.1f ms), none lost.", ms(median), len(took), ms(least), ms(most))
	switch {
	case lost > 0:
		r.warn(fmt.Sprintf("A round trip takes %.1f ms (median), but %d of %d requests were lost.", ms(median), lost, len(took)+lost),
			"The line loses packets or cuts connections: look at this machine's network, and at devices on the way.")
	case opened > 1:
		r.warn(fmt.Sprintf("%s But the connection was cut %d times between them.", message, opened-1), "A device on the way does not keep connections open: have "+e.relay.Hostname()+" exempted from inspection.")
	case median > slowTrip:
		r.warn(message, "Every request takes that long more: if this line is not a satellite's, ask for a shorter way to the relay.")
	default:
		r.pass(message)
	}
}
