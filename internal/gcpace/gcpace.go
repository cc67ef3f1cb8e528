// Package gcpace sets how often both programs collect garbage. Each request
// leaves some, little of which lives: with Go's own pace, which lets a heap of
// a few megabytes double before it is collected, a relay or agent that is busy
// with small requests spends 7 % of its time on collections.
package gcpace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Limits of the pace, in percent of what is in use by which the heap may grow
// before it is collected; see runtime/debug.SetGCPercent. The least is Go's
// own, and beyond the most there is little left to gain.
const (
	least = 100
	most  = 400
)

// Relax lets garbage grow to headroom bytes at most where Go's own pace would
// collect it sooner. A heap that is larger than that is collected at Go's own
// pace, so it costs no more memory than it did. GOGC in the environment (see
// package runtime) takes the place of it all.
func Relax(headroom uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{headroom: headroom, percent: least}
	p.adapt()
	p.afterNext()
}

// pace follows the heap: after each collection it is chosen anew.
type pace struct {
	headroom uint64
	percent  int
}

// tick is garbage from the beginning: when it is collected, so was the rest.
type tick struct{ _ [16]byte } // not so small that Go would share its memory

// afterNext adapts the pace after the next collection, and so on.
func (p *pace) afterNext() {
	runtime.SetFinalizer(&tick{}, func(*tick) {
		p.adapt()
		p.afterNext()
	})
}

func (p *pace) adapt() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := p.percentFor(live[0].Value.Uint64())
	if percent != p.percent { // setting it stops the world for a moment
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is the pace for so many bytes in use, in steps of 50 so that it
// does not change with every collection.
func (p *pace) percentFor(live uint64) int {
	if live == 0 { // nothing has been collected yet
		return most
	}
	percent := min(p.headroom*100/live, most)
	return int(max(percent/50*50, least))
}
