// Package gcpace sets how often both programs collect garbage. Each request
// leaves some, little of which lives: with Go's own pace, which lets a heap of
// a few megabytes double before it is collected, a relay or agent that is busy
// with small requests spends 7 % of its time on collections. And one that holds
// ten thousand idle tunnels, which make garbage slowly, would by that pace take
// twice the memory that it needs.
package gcpace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Limits of the pace, in percent of what is in use by which the heap may grow
// before it is collected; see runtime/debug.SetGCPercent. own is Go's, and
// beyond the most there is little left to gain.
const (
	least = 25
	own   = 100
	most  = 400
)

// between is how often garbage is collected at least where it is made slowly:
// a collection of a hundred megabytes takes a tenth of a second.
const between = 10 * time.Second

// quietAfter is for how long nothing was collected when it is quiet.
const quietAfter = 20 * time.Second

// littlest is how much garbage may always gather, in bytes: collecting less
// frees nothing worth mentioning.
const littlest = 4 << 20

// Relax lets garbage grow to headroom bytes at most where Go's own pace would
// collect it sooner. A heap that is larger than that is collected at Go's own
// pace, so it costs no more memory than it did; and sooner where little garbage
// is made. GOGC in the environment (see package runtime) takes the place of it
// all.
func Relax(headroom uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{headroom: headroom, percent: own, at: time.Now()}
	p.adapt()
	p.afterNext()
	time.AfterFunc(quietAfter, p.look)
}

// pace follows the heap: after each collection it is chosen anew, and once it is
// quiet.
type pace struct {
	headroom uint64

	mu      sync.Mutex // guards the following
	percent int
	at      time.Time // when it was last measured how much is made
	made    uint64    // in bytes, until then
	rate    float64   // in bytes a second, at last
	cycles  uint64    // collections there were when look looked
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
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(heap)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.measure(time.Now(), heap[1].Value.Uint64())
	p.set(heap[0].Value.Uint64())
}

// measure finds out how much is made, of what was made until now; mu is held. In
// a moment nothing is measured, unless it is much.
func (p *pace) measure(now time.Time, made uint64) {
	since := now.Sub(p.at).Seconds()
	if made-p.made < littlest && since < 1 {
		return
	}
	p.rate = float64(made-p.made) / max(since, 1e-3)
	p.at, p.made = now, made
}

// set chooses the pace for so many bytes in use; mu is held.
func (p *pace) set(live uint64) {
	percent := p.percentFor(live, p.rate)
	if percent != p.percent { // setting it stops the world for a moment
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is the pace for so many bytes in use, where so many are made in a
// second: in steps of 25 or 50, so that it does not change with every
// collection.
func (p *pace) percentFor(live uint64, rate float64) int {
	if live == 0 { // nothing has been collected yet
		return most
	}
	busy := max(min(p.headroom*100/live, most)/50*50, own)
	due := max(uint64(rate*between.Seconds()), littlest)
	idle := max((due*100/live+least-1)/least*least, least)
	return int(min(busy, idle))
}

// look gives back, once it is quiet, what a busy time has left behind: until the
// next collection, which may be minutes away, the heap may be several times of
// what is in use.
func (p *pace) look() {
	defer time.AfterFunc(quietAfter, p.look)
	heap := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(heap)
	cycles, live, made := heap[0].Value.Uint64(), heap[1].Value.Uint64(), heap[2].Value.Uint64()
	p.mu.Lock()
	quiet := cycles == p.cycles
	p.cycles = cycles
	p.measure(time.Now(), made)
	if quiet {
		p.set(live)
	}
	p.mu.Unlock()
	if quiet && worthwhile(live, heap[3].Value.Uint64(), heap[4].Value.Uint64()) {
		debug.FreeOSMemory() // which collects, too
	}
}

// worthwhile reports whether enough could be given back, in bytes: live are in
// use, objects those and garbage, free is held for later.
func worthwhile(live, objects, free uint64) bool {
	return free+objects > live+live/2+littlest
}
