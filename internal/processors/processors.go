// Package processors has both programs run on one processor for as long as one
// is plenty. A goroutine that wakes another has Go's scheduler wake an idle
// processor for it, which mostly finds the work done when it has come: of a
// small request that passes through, waking processors is a third of the cost.
// Where no processor is idle, nobody is woken.
//
// It is about few requests at a time, and about many on a machine that has no
// processor to spare. One that is under load has all its processors after a
// tenth of a second, or after a second where it did nothing before. The load is
// the time that the process was given: where other programs take most of what
// the machine has, it can want more and not show it, as anything that runs on
// one processor; GOMAXPROCS is for that.
package processors

import (
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"
)

// Limits of the load, in processors: the part of the time that the process is
// running. The more leaves room between them for what waking costs.
const (
	tooMuch = 0.85 // of one, which then has work waiting most of the time
	little  = 0.6  // of all
)

// calm is how long the load must be little: a process that changes to and fro
// would pay for it each time.
const calm = 5 * time.Second

// How often the load is measured. A process that does nothing is not to be
// woken often for it; a burst finds one processor then for up to a second.
const (
	often    = 100 * time.Millisecond
	seldom   = time.Second
	idleLoad = 0.02
)

// Follow chooses the number of processors by the load until stop is called. It
// begins with all that Go would use (see runtime.GOMAXPROCS), which counts what a
// container may have, and ends with it. GOMAXPROCS in the environment takes its
// place.
func Follow(log *zap.Logger) (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return func() {}
	}
	if _, err := used(); err != nil {
		log.Debug("all processors are used: the load is not known", zap.Error(err))
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		follow(log, end, func() time.Duration {
			t, _ := used() // it was to be had before
			return t
		})
	}()
	return func() {
		close(end)
		<-ended
	}
}

// follow goes by cpuTime: for how long the process has been running, on all
// processors together.
func follow(log *zap.Logger, end <-chan struct{}, cpuTime func() time.Duration) {
	defer runtime.SetDefaultGOMAXPROCS()
	timer := time.NewTimer(often)
	defer timer.Stop()
	var c choice
	before, at := cpuTime(), time.Now()
	for {
		select {
		case <-end:
			return
		case <-timer.C:
		}
		now, spent := time.Now(), cpuTime()
		load := float64(spent-before) / float64(now.Sub(at))
		if c.changes(load, now.Sub(at)) {
			c.apply()
			log.Debug("number of processors changed", zap.Int("processors", runtime.GOMAXPROCS(0)), zap.Float64("load", load))
		}
		before, at = spent, now
		timer.Reset(c.next(load))
	}
}

// choice is whether one processor is plenty.
type choice struct {
	one    bool
	calmed time.Duration // for how long the load has been little
}

// changes takes in the load of a while, and reports whether the choice is another
// one now.
func (c *choice) changes(load float64, while time.Duration) bool {
	switch {
	case c.one:
		c.one = load < tooMuch
		return !c.one
	case load > little:
		c.calmed = 0
		return false
	}
	c.calmed += while
	if c.calmed < calm {
		return false
	}
	c.one, c.calmed = true, 0
	return true
}

func (c *choice) apply() {
	if c.one {
		runtime.GOMAXPROCS(1)
	} else {
		runtime.SetDefaultGOMAXPROCS() // which may have changed
	}
}

// next is when the load is to be measured again.
func (c *choice) next(load float64) time.Duration {
	if load < idleLoad {
		return seldom
	}
	return often
}
