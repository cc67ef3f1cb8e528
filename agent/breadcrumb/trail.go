// Package breadcrumb finds out why this agent was offline, for whoever asks
// afterwards: it was stopped, it crashed, the machine was restarted or asleep,
// or there was no way to the relay, and what was in it. A small file in the data
// directory remembers how things stood, so that the next run can tell how the
// last one ended.
//
// Package cli tells it of the link and of the end, and sends the relay its
// reports, again with each tunnel until the relay has noted them. It opens no
// connection, and decides nothing.
package breadcrumb

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"sallyport/proto"
)

const (
	// aliveEvery is how often the file is touched, so that the next run knows how
	// long this one lived. Nothing is written for it but the file's time.
	aliveEvery = time.Minute
	// asleep is how much further than the time that this process has seen the
	// machine's clock must have gone for the machine to have slept meanwhile.
	asleep = 10 * time.Second
	// sleepTells is how long after a sleep a tunnel that breaks broke because of it.
	sleepTells = 2 * time.Minute
	// mostReports is how many reports are kept for a relay that notes none.
	mostReports = 16
	// shutdown is how long before the machine was started again an agent that was
	// stopped in order was stopped because of that.
	shutdown = 10 * time.Minute
)

// Options configure a Trail.
type Options struct {
	Dir   string
	Log   *zap.Logger
	Clock func() time.Time // nil means time.Now
	// Awake is how long this process has been there, the time aside in which the
	// machine slept; nil means by the system's monotonic clock.
	Awake func() time.Duration
	Boot  func() Boot // nil means this machine's
}

// Trail is what the agent leaves behind. It is safe for concurrent use.
type Trail struct {
	file  file
	log   *zap.Logger
	clock func() time.Time
	awake func() time.Duration

	mu     sync.Mutex // guards the following
	crumb  crumb
	looked time.Time     // when the clock was last looked at
	awoke  time.Duration // awake then
	sleep  *nap          // the last
	by     string        // who has announced that the agent is to end; "": nobody
	byAt   time.Time
}

// nap is a time in which the machine was asleep.
type nap struct{ from, to time.Time }

// Open reads what the last run left, and begins this one's.
func Open(o Options) (*Trail, error) {
	t := &Trail{file: file{o.Dir}, log: o.Log, clock: o.Clock, awake: o.Awake}
	if t.clock == nil {
		t.clock = time.Now
	}
	if t.awake == nil {
		began := time.Now()
		t.awake = func() time.Duration { return time.Since(began) }
	}
	boot := thisBoot
	if o.Boot != nil {
		boot = o.Boot
	}
	t.looked, t.awoke = t.clock(), t.awake()
	last, alive := t.file.read()
	t.crumb = crumb{Boot: boot(), Been: last.Been, Reports: last.Reports}
	if last.Been {
		t.crumb.Down = last.outage(alive, t.crumb.Boot)
		t.log.Info("the agent was offline", zap.Time("from", t.crumb.Down.From), zap.String("cause", string(t.crumb.Down.Cause)), zap.String("detail", t.crumb.Down.Detail))
	}
	if err := t.file.write(t.crumb); err != nil {
		return nil, fmt.Errorf("leave a trail: %w", err)
	}
	return t, nil
}

// Online notes that the relay is reached.
func (t *Trail) Online() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.look()
	down := t.crumb.Down
	if t.crumb.Been && down == nil || t.crumb.End != nil {
		return
	}
	if down != nil {
		if down.Cause == "" {
			down.Cause = proto.CauseConnectionLost
		}
		r := proto.OfflineReport{ID: uuid.NewString(), From: down.From, To: now, Cause: down.Cause, Detail: down.Detail}
		if r.To.Before(r.From) { // the clock was set back
			r.From = r.To
		}
		t.crumb.Reports = append(t.crumb.Reports, r)
		if n := len(t.crumb.Reports); n > mostReports {
			t.crumb.Reports = t.crumb.Reports[n-mostReports:]
		}
	}
	t.crumb.Been, t.crumb.Down = true, nil
	t.keep()
}

// Offline notes that there is no tunnel, and what the last attempt failed with,
// or the last tunnel ended with.
func (t *Trail) Offline(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.look()
	if t.crumb.End != nil || !t.crumb.Been {
		return
	}
	cause, detail := CauseOf(err)
	down := t.crumb.Down
	switch {
	case down == nil:
		down = &outage{From: now, Cause: cause, Detail: detail}
		if s := t.sleep; s != nil && now.Sub(s.to) < sleepTells {
			*down = slept(s)
		}
	case down.Cause == proto.CauseConnectionLost && cause != proto.CauseConnectionLost: // the first attempt tells more
		down = &outage{From: down.From, Cause: cause, Detail: detail}
	default:
		return
	}
	t.crumb.Down = down
	t.keep()
}

// Reports are those that the relay has not noted yet, oldest first.
func (t *Trail) Reports() []proto.OfflineReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]proto.OfflineReport(nil), t.crumb.Reports...)
}

// Noted forgets a report that the relay has written down.
func (t *Trail) Noted(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, r := range t.crumb.Reports {
		if r.ID == id {
			t.crumb.Reports = append(t.crumb.Reports[:i:i], t.crumb.Reports[i+1:]...)
			t.keep()
			return
		}
	}
}

// Announce notes who is about to end the agent: a command, which ends it through
// the service manager.
func (t *Trail) Announce(by string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by, t.byAt = by, t.clock()
}

// announced is how long an announcement holds.
const announced = time.Minute

// End notes that the agent ends in order, and why.
func (t *Trail) End(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crumb.End != nil {
		return
	}
	now := t.look()
	detail := "it was told to"
	if why != nil {
		detail = printable(why.Error())
	}
	if t.by != "" && now.Sub(t.byAt).Abs() < announced {
		detail = t.by + " (" + detail + ")"
	}
	t.crumb.End = &end{At: now, Detail: printable(detail)}
	t.keep()
}

// Run says now and then that the agent lives, until ctx ends.
func (t *Trail) Run(ctx context.Context) {
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		t.mu.Lock()
		if err := t.file.touch(t.look()); err != nil {
			t.log.Debug("trail can't be left", zap.Error(err))
		}
		t.mu.Unlock()
	}
}

// look returns the time on the clock, and notices where the machine was asleep
// since the last look; mu is held.
func (t *Trail) look() time.Time {
	before, awoke := t.looked, t.awoke
	t.looked, t.awoke = t.clock(), t.awake()
	// On the wall, whatever monotonic reading there is beside.
	if passed := t.looked.Round(0).Sub(before.Round(0)); passed-(t.awoke-awoke) > asleep {
		t.sleep = &nap{from: before.Round(0).UTC(), to: t.looked.Round(0).UTC()}
	}
	return t.looked.Round(0).UTC()
}

func slept(s *nap) outage {
	return outage{From: s.from, Cause: proto.CauseSlept, Detail: "for " + s.to.Sub(s.from).Round(time.Second).String()}
}

// keep writes the crumb; mu is held. A disk that takes nothing costs the next run
// its knowledge, and this one nothing.
func (t *Trail) keep() {
	if err := t.file.write(t.crumb); err != nil {
		t.log.Debug("trail can't be left", zap.Error(err))
	}
}
