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
		// The first only makes sure that there is a connection.
		_, _ = e.get(ctx, "healthz")
		var took []time.Duration
		lost, cut := 0, 0
		for range samples {
			kept := false
			traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { kept = info.Reused }})
			a, err := e.get(traced, "healthz")
			switch {
			case err != nil:
				lost++
			case !kept: // it took the opening of a connection too
				cut++
			default:
				took = append(took, a.took)
			}
		}
		e.judgeTrips(r, took, lost, cut)
	})
}

// judgeTrips settles r. took are the round trips over a connection that was
// kept; for cut ones a new connection had to be opened.
func (e *examination) judgeTrips(r *Result, took []time.Duration, lost, cut int) {
	r.Facts["samples"], r.Facts["lost"], r.Facts["newConnections"] = samples, lost, cut
	switch {
	case lost == samples:
		r.fail(fmt.Sprintf("None of %d requests over one connection was answered.", samples), "The connection breaks as soon as it is used: look at devices on the way, and at the relay's log.")
		return
	case len(took) == 0:
		r.warn("Every request needed a new connection.", "A device on the way does not keep connections open: have "+e.relay.Hostname()+" exempted from inspection.")
		return
	}
	slices.Sort(took)
	median, least, most := took[len(took)/2], took[0], took[len(took)-1]
	r.Facts["medianMs"], r.Facts["minMs"], r.Facts["maxMs"] = ms(median), ms(least), ms(most)
	message := fmt.Sprintf("A round trip takes %.1f ms (median of %d; %.1f to %.1f ms), none lost.", ms(median), len(took), ms(least), ms(most))
	switch {
	case lost > 0:
		r.warn(fmt.Sprintf("A round trip takes %.1f ms (median), but %d of %d requests were lost.", ms(median), lost, samples),
			"The line loses packets or cuts connections: look at this machine's network, and at devices on the way.")
	case cut > 0:
		r.warn(fmt.Sprintf("A round trip takes %.1f ms (median), but %d of %d requests found the connection cut.", ms(median), cut, samples),
			"A device on the way does not keep connections open: have "+e.relay.Hostname()+" exempted from inspection.")
	case median > slowTrip:
		r.warn(message, "Every request takes that long more: if this line is not a satellite's, ask for a shorter way to the relay.")
	default:
		r.pass(message)
	}
}
