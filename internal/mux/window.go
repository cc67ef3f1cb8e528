package mux

import (
	"encoding/binary"
	"sync"
)

// Budget bounds what all sessions of a process may hold unread beyond the least
// window of each stream. A path of 80 ms needs windows of 32 MiB; two hundred
// callers who stop reading must not cost two hundred times that. Nil is a
// budget without end.
type Budget struct {
	total int64

	mu   sync.Mutex // guards the following
	left int64
}

// NewBudget makes a Budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{total: bytes, left: bytes} }

// shareOfRest is which part of what is left one stream may take, so that some
// is always left for the next, and the first has all that it needs.
const shareOfRest = 8

// leastShare is what is worth the bother.
const leastShare = 64 << 10

func (b *Budget) take(want uint32) uint32 {
	if b == nil || want == 0 {
		return want
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	share := min(int64(want), b.left/shareOfRest)
	if share < min(leastShare, int64(want)) {
		return 0
	}
	b.left -= share
	return uint32(share)
}

func (b *Budget) give(share uint32) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += int64(share)
}

// Taken is how much of the budget is taken, in bytes.
func (b *Budget) Taken() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.left
}

// tight reports whether less than half is left.
func (b *Budget) tight() bool { return b != nil && b.Taken() > b.total/2 }

// windows give the streams of a session windows by the budget. yamux has one
// window for all streams of a session, and announces it with the first frame of
// each. So yamux is told the most, and what a stream is not to have of it is
// withheld from the announcement on its way out, and announced bit by bit as
// the reader gets on. The other end may thus never send more than yamux
// expects.
type windows struct {
	budget *Budget

	mu      sync.Mutex // guards the following
	most    uint32     // changes only while there is no stream
	credits map[uint32]*credit
	ended   bool
}

// credit is the window of one stream.
type credit struct {
	limit    uint32 // how much the other end may send before any of it is read
	share    uint32 // of the budget; part of limit
	withheld uint32 // what yamux believes to have announced
	read     uint32 // since something was announced
}

// The frames that announce windows; see headerSize.
const (
	typeWindow = 1
	flagSYN    = 1 << 0
	flagACK    = 1 << 1
)

// newWindows returns nil where there is nothing to share out.
func newWindows(most uint32, budget *Budget) *windows {
	if most == leastWindow || budget == nil {
		return nil
	}
	return &windows{most: most, budget: budget}
}

// setMost changes the largest window; no stream is open.
func (w *windows) setMost(most uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = most
}

// announced says how much of yamux's announcement, of which header is the
// frame, the other end is to be told.
func (w *windows) announced(header []byte) uint32 {
	flags := binary.BigEndian.Uint16(header[2:])
	id := binary.BigEndian.Uint32(header[4:])
	delta := binary.BigEndian.Uint32(header[8:])
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.credits[id]
	switch {
	case w.ended, delta == 0:
		return delta
	case c == nil && flags&(flagSYN|flagACK) != 0:
		share := w.budget.take(delta)
		if w.credits == nil {
			w.credits = make(map[uint32]*credit)
		}
		w.credits[id] = &credit{limit: leastWindow + share, share: share, withheld: delta - share}
		return share
	case c == nil: // closed already
		return delta
	}
	// yamux announces anew what was read since it last did; a part of that was
	// announced meanwhile, from what is withheld.
	early := min(delta, w.most-c.limit-min(c.withheld, w.most-c.limit))
	c.withheld += early
	c.read = 0
	return delta - early
}

// drained notes that n bytes of a stream were read, and says how much is to be
// announced for that.
func (w *windows) drained(id uint32, n int) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.credits[id]
	if c == nil || c.withheld == 0 {
		return 0
	}
	c.read += uint32(n)
	if c.read < c.limit/2 {
		return 0
	}
	// It gets on: it may have more, if there is more.
	more := w.budget.take(min(w.most-c.limit, c.limit))
	c.limit += more
	c.share += more
	now := min(c.read+more, c.withheld)
	c.withheld -= now
	c.read = 0
	return now
}

// costly reports whether a stream holds a share while the budget is tight.
func (w *windows) costly(id uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.credits[id]
	return c != nil && c.share > 0 && w.budget.tight()
}

// release gives a stream's share back.
func (w *windows) release(id uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.credits[id]; c != nil {
		w.budget.give(c.share)
		delete(w.credits, id)
	}
}

// rest gives the shares of all streams back, of which none is open any more.
func (w *windows) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveAll()
}

// end gives the shares of all streams back, for good.
func (w *windows) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.giveAll()
}

func (w *windows) giveAll() {
	for _, c := range w.credits {
		w.budget.give(c.share)
	}
	w.credits = nil // a map stays as large as it was
}
