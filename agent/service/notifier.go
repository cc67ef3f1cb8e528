package service

import (
	"context"
	"time"
)

// readyWithin bounds how long the service manager waits for the first tunnel
// before it takes the agent for started all the same: a machine must finish
// booting without its relay, and `start` must come back.
const readyWithin = 10 * time.Second

// follow are the pauses between two looks at how the agent fares: before and
// after it is ready.
const (
	followStarting = 50 * time.Millisecond
	followRunning  = 15 * time.Second
)

// Health is what the service manager is told of the agent.
type Health struct {
	Online bool
	Text   string // one line: "online, 34 ms to the relay"
}

// Announce tells the service manager how the agent fares, until the function
// that it returns is called: that it is ready, once the relay is reached or
// that has taken too long; a line of status as it changes; that it is alive,
// where the manager watches over that; and that it stops, when ctx ends.
// health must not block for long: an agent that can't say how it is within the
// manager's patience is taken for hung, and restarted.
func Announce(ctx context.Context, health func() Health) (stop func()) {
	return announce(ctx, newNotifier(), health)
}

// notifier is the way to a service manager; see notifier_linux.go.
type notifier interface {
	// Tell sends assignments of sd_notify(3).
	Tell(assignments ...string)
	// Watchdog is how often the manager wants to hear; 0: it does not watch.
	Watchdog() time.Duration
}

func announce(ctx context.Context, n notifier, health func() Health) (stop func()) {
	if n == nil {
		return func() {}
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		a := announcer{notifier: n, health: health}
		a.start(ctx, over)
		a.follow(ctx, over)
		n.Tell("STOPPING=1", "STATUS=stopping; requests under way may finish")
		a.outlast(over)
	}()
	return func() {
		close(over)
		<-done
	}
}

type announcer struct {
	notifier
	health func() Health
	said   string
}

// start waits for the first tunnel, within bounds.
func (a *announcer) start(ctx context.Context, over <-chan struct{}) {
	late := time.After(readyWithin)
	for {
		h := a.health()
		if h.Online {
			a.ready(h)
			return
		}
		a.status(h)
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-late:
			a.ready(h)
			return
		case <-time.After(followStarting):
		}
	}
}

func (a *announcer) ready(h Health) {
	a.said = h.Text
	a.Tell("READY=1", "STATUS="+h.Text)
}

func (a *announcer) status(h Health, more ...string) {
	if h.Text != a.said {
		a.said = h.Text
		more = append(more, "STATUS="+h.Text)
	}
	if len(more) > 0 {
		a.Tell(more...)
	}
}

// follow reports what changes, and that the agent lives.
func (a *announcer) follow(ctx context.Context, over <-chan struct{}) {
	pause, alive := followRunning, []string(nil)
	if every := a.Watchdog(); every > 0 {
		pause, alive = min(pause, every/3), []string{"WATCHDOG=1"}
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		a.status(a.health(), alive...)
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-tick.C:
		}
	}
}

// outlast goes on saying that the agent lives while it stops.
func (a *announcer) outlast(over <-chan struct{}) {
	every := a.Watchdog()
	if every <= 0 {
		<-over
		return
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		a.Tell("WATCHDOG=1")
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
