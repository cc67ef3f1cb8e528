package hub

import (
	"container/list"
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport/relay/throttle"
)

// doorstep is where agents stand that have not yet proved who they are. It
// bounds how many they may be, in all and from one address, and how often one
// address may come without proving anything. Agents are not counted once they
// have: hundreds of them may share the address of their company.
//
// Strangers from many addresses who dawdle can't keep agents out either: once
// the doorstep is full, whoever has stood there longest without a proof makes
// room. An agent's comes within a round trip. And where proofs have to wait for
// long until they are looked at, nobody else is let in: waiting in vain costs more
// than being told when to come again.
type doorstep struct {
	most, mostOfOne int
	grace           time.Duration      // how long nobody is dismissed for
	patience        time.Duration      // how long proofs may wait
	connects        *throttle.Throttle // nil: no limit
	clock           func() time.Time

	mu           sync.Mutex // guards the following
	all          int
	byAddress    map[string]int
	dawdlers     list.List     // of *place, in the order in which they came
	waiting      int           // for their turn, with a proof
	waited       time.Duration // whose turn came last, or whose time was up
	turns        int           // since counted
	counted      time.Time
	rate         float64 // turns a second, of late
	appointments appointments
}

// place is that of one visitor.
type place struct {
	address   string
	since     time.Time       // when it came, and then when its proof did
	dawdles   *list.Element   // among the dawdlers; nil: its proof has come, or it was dismissed. Guarded by the doorstep's mu
	dismissed context.Context // ends when another needs the place
	dismiss   context.CancelFunc
}

// doorLimit is why somebody may not enter now.
type doorLimit struct {
	reason     string // for the metrics
	status     int
	retryAfter time.Duration
	text       string
}

// connectsBurst is how many seconds' worth of connects may come at once.
const connectsBurst = 10

func newDoorstep(opts Options) *doorstep {
	d := &doorstep{most: opts.MaxHandshakes, mostOfOne: max(1, opts.MaxHandshakes/2), grace: opts.StepTimeout / 5, patience: opts.StepTimeout / 2,
		byAddress: make(map[string]int), clock: opts.Clock}
	if n := opts.ConnectsPerAddress; n > 0 {
		d.connects = throttle.New(throttle.Options{Burst: connectsBurst * n, Every: time.Second / time.Duration(n), Clock: opts.Clock})
	}
	return d
}

func (d *doorstep) enter(address string) (*place, *doorLimit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	slow := d.waiting > 0 && d.waited > d.patience
	busy, rate := slow, float64(perSecond)
	if slow {
		rate = d.rate
	}
	var dawdler *place // who has to make room
	if !busy && d.all >= d.most {
		dawdler = d.dawdler()
		busy = dawdler == nil
	}
	if busy {
		return nil, &doorLimit{"busy", http.StatusServiceUnavailable, d.appointments.make(d.clock(), rate),
			"Too many agents are connecting at this moment."}
	}
	if d.byAddress[address] >= d.mostOfOne {
		return nil, &doorLimit{"handshakes_per_address", http.StatusTooManyRequests, d.appointments.make(d.clock(), rate),
			"Too many agents are connecting from " + address + " at this moment (" + strconv.Itoa(d.mostOfOne) + ")."}
	}
	if d.connects != nil {
		if wait := d.connects.Take(address); wait > 0 {
			return nil, &doorLimit{"connects_per_address", http.StatusTooManyRequests, wait,
				"Too many connects from " + address + " have not led to a tunnel. Where a proxy stands in front of the relay, name it in trusted-proxies."}
		}
	}
	if dawdler != nil { // its place is free at once, though it takes a moment to go
		d.vacate(dawdler)
		dawdler.dismiss()
	}
	p := &place{address: address, since: time.Now()}
	p.dismissed, p.dismiss = context.WithCancel(context.Background())
	p.dawdles = d.dawdlers.PushBack(p)
	d.all++
	d.byAddress[address]++
	return p, nil
}

// dawdler is the visitor who has been here longest without a proof; nil: none
// has been for long. mu is held.
func (d *doorstep) dawdler() *place {
	first := d.dawdlers.Front()
	if first == nil {
		return nil
	}
	p := first.Value.(*place)
	if time.Since(p.since) < d.grace {
		return nil
	}
	return p
}

// proof notes that a visitor's proof has come, which waits for its turn then. It
// reports false where it came too late.
func (d *doorstep) proof(p *place) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.dismissed.Err() != nil {
		return false
	}
	d.dawdlers.Remove(p.dawdles)
	p.dawdles, p.since = nil, time.Now()
	d.waiting++
	return true
}

// turn notes that the turn of a visitor's proof has come, or that it waits no
// longer.
func (d *doorstep) turn(p *place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting--
	now := time.Now()
	d.waited = now.Sub(p.since)
	d.turns++
	if since := now.Sub(d.counted); since >= time.Second {
		d.rate, d.turns, d.counted = float64(d.turns)/since.Seconds(), 0, now
	}
}

// leave is for who entered; proved: it is an agent.
func (d *doorstep) leave(p *place, proved bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.dismissed.Err() == nil {
		d.vacate(p)
		p.dismiss() // nobody waits for it any more
	}
	if proved && d.connects != nil {
		d.connects.Forgive(p.address)
	}
}

// vacate takes a visitor off the count; mu is held.
func (d *doorstep) vacate(p *place) {
	if p.dawdles != nil {
		d.dawdlers.Remove(p.dawdles)
		p.dawdles = nil
	}
	d.all--
	if d.byAddress[p.address]--; d.byAddress[p.address] == 0 {
		delete(d.byAddress, p.address)
	}
}
