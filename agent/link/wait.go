package link

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/egress"
)

// lookEvery is how often a slot that waits looks whether waiting has become
// pointless.
const lookEvery = 2 * time.Second

// asleep is how much further than the time that this process has seen the
// machine's clock must have gone for the machine to have slept meanwhile.
const asleep = 10 * time.Second

// pause waits for d, the end of ctx, or until a tunnel is gone that was to be in
// use meanwhile; nil: there is none. It ends early, and says so, where this
// machine was asleep or has moved to another network, or the relay is reached by
// another way than the one that was tried: what failed before may well succeed
// now, and whoever opens a laptop should not wait for a minute.
func (l *Link) pause(ctx context.Context, d time.Duration, tried *egress.Egress, gone <-chan struct{}) (changed bool) {
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	if d <= lookEvery {
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-gone:
		}
		return false
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	began, clock, network := time.Now(), l.opts.Clock().Round(0), l.network()
	for {
		select {
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		case <-gone:
			return false
		case <-ticker.C:
		}
		if l.way.Load() != tried {
			return true // Reroute's caller has said so
		}
		// The one has no monotonic reading, so that its difference is what the
		// clock on the wall says; the other goes on by itself, and on some
		// systems not while the machine sleeps.
		slept := l.opts.Clock().Round(0).Sub(clock)-time.Since(began) > asleep
		if now := l.network(); slept || now != network {
			l.log.Info("this machine was asleep, or has another network: not waiting any longer",
				zap.Bool("slept", slept), zap.String("addresses", now))
			return true
		}
	}
}

// network names the addresses of this machine, those aside that say nothing of
// where it is.
func (l *Link) network() string {
	addresses, err := l.opts.Addresses()
	if err != nil {
		return "" // unknown; it is only a hint
	}
	var names []string
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && (n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast()) {
			continue
		}
		names = append(names, a.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
