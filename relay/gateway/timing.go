package gateway

import (
	"strconv"
	"time"
)

// serverTiming is the Server-Timing value: where the time until now went, in
// milliseconds. What did not happen is left out. With a replay, the stages are
// those of the second request, and signin is all the time spent on sessions.
func (p *passage) serverTiming() string {
	buf := make([]byte, 0, 128)
	add := func(name string, d time.Duration) {
		if d <= 0 {
			return
		}
		if len(buf) > 0 {
			buf = append(buf, ", "...)
		}
		buf = append(buf, name...)
		buf = append(buf, ";dur="...)
		buf = strconv.AppendFloat(buf, float64(d)/float64(time.Millisecond), 'f', 3, 64)
	}
	add("total", max(time.Since(p.start), 1))
	add("queue", p.queued)
	add("retry", p.retrying)
	add("held", p.awaited+p.timing.Held)
	add("tunnel", p.timing.Tunnel)
	add("dns", p.timing.DNS)
	add("connect", p.timing.Connect)
	add("tls", p.timing.TLS)
	add("wait", p.timing.Wait)
	if p.signIn > signInWorthTelling {
		add("signin", p.signIn)
	}
	return string(buf)
}

// signInWorthTelling is what looking up a session takes at most where nobody
// has to sign in.
const signInWorthTelling = time.Millisecond
