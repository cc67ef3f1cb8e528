package peer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/hub"
)

const (
	// foundFor and absentFor are how long it is believed where an agent is, and
	// that it is nowhere. Whoever is sent to the wrong relay is told so.
	foundFor  = 2 * time.Second
	absentFor = 200 * time.Millisecond
	// lookupTimeout bounds a look into the store for a request, which is then held
	// as for an agent that is away, and served once it is known where that is.
	lookupTimeout = time.Second
	// listTimeout bounds what is asked for a page: the store, and other relays.
	listTimeout = 5 * time.Second
	// mostKnown is of how many agents it is kept where they are.
	mostKnown = 10_000
)

// lookups is where agents are, as the store said last.
type lookups struct {
	mu         sync.Mutex // guards the following
	known      map[string]*lookup
	complained time.Time // that the store did not answer
}

// lookup is where one agent is.
type lookup struct {
	asking chan struct{} // holds one: who asks the store, for all who want to know

	mu     sync.Mutex // guards the following
	held   []Holding
	at     time.Time // zero: it has to be asked
	failed bool      // it did not answer last
}

func (l *lookup) fresh(now time.Time) ([]Holding, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	good := absentFor
	if len(l.held) > 0 {
		good = foundFor
	}
	return l.held, !l.at.IsZero() && now.Sub(l.at).Abs() < good
}

func (l *lookup) set(held []Holding, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.at, l.failed = held, at, false
}

// fail notes that the store did not answer. What it said before holds: those who
// want to know the same must not each wait for it.
func (l *lookup) fail(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.failed = at, true
}

// of is the entry of an agent.
func (l *lookups) of(agentID string) *lookup {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= mostKnown {
		l.known = make(map[string]*lookup) // they are asked for anew
	}
	one := l.known[agentID]
	if one == nil {
		one = &lookup{asking: make(chan struct{}, 1)}
		l.known[agentID] = one
	}
	return one
}

// forget has the store asked anew where an agent is.
func (l *lookups) forget(agentID string) {
	one := l.of(agentID)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.at = time.Time{}
}

// holdings are who holds an agent. While the store is away, what it said last
// holds.
func (p *Peers) holdings(ctx context.Context, agentID string) []Holding {
	one := p.lookups.of(agentID)
	if held, fresh := one.fresh(time.Now()); fresh {
		return held
	}
	select {
	case one.asking <- struct{}{}:
		defer func() { <-one.asking }()
	case <-ctx.Done():
	}
	held, fresh := one.fresh(time.Now())
	if fresh || ctx.Err() != nil {
		return held
	}
	return p.ask(ctx, agentID, one, held)
}

// ask asks the store who holds an agent; held is what it said before. The caller
// holds one.asking.
func (p *Peers) ask(ctx context.Context, agentID string, one *lookup, held []Holding) []Holding {
	asking, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := p.opts.Roll.Holdings(asking, []string{agentID})
	switch {
	case err == nil:
		held = p.believed(found)
		one.set(held, time.Now())
	case ctx.Err() != nil: // the next one asks
	default:
		one.fail(time.Now())
		if p.lookups.complain(time.Now()) {
			p.log.Warn("relays that hold an agent can't be looked up", zap.String("agent", agentID), zap.Error(err))
		}
	}
	return held
}

// complain reports whether it is time to say that the store does not answer.
func (l *lookups) complain(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.complained.IsZero() && now.Sub(l.complained) < complainEvery {
		return false
	}
	l.complained = now
	return true
}

// lately are who held an agent when the store was last asked. Where that is long
// ago it is asked anew, and nobody waits for that: whoever is sent to the wrong
// relay is told so.
func (p *Peers) lately(agentID string) []Holding {
	one := p.lookups.of(agentID)
	one.mu.Lock()
	held, forgotten := one.held, one.at.IsZero()
	one.mu.Unlock()
	if len(held) == 0 || forgotten {
		return nil
	}
	if _, fresh := one.fresh(time.Now()); !fresh {
		p.refresh(agentID, one, held)
	}
	return held
}

// refresh asks the store, unless somebody does so already.
func (p *Peers) refresh(agentID string, one *lookup, held []Holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	select {
	case one.asking <- struct{}{}:
		p.work.Go(func() {
			defer func() { <-one.asking }()
			p.ask(p.life, agentID, one, held)
		})
	default:
	}
}

// Reachable implements hub.Elsewhere.
func (p *Peers) Reachable(ctx context.Context, agentIDs []string) []string {
	var ask []string
	for _, id := range agentIDs {
		if _, fresh := p.lookups.of(id).fresh(time.Now()); !fresh {
			ask = append(ask, id)
		}
	}
	if len(ask) > 0 {
		found, err := p.opts.Roll.Holdings(ctx, ask)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("relays that hold agents can't be looked up", zap.Int("agents", len(ask)), zap.Error(err))
			}
			return nil
		}
		byAgent := make(map[string][]Holding)
		for _, h := range p.believed(found) {
			byAgent[h.AgentID] = append(byAgent[h.AgentID], h)
		}
		for _, id := range ask {
			p.lookups.of(id).set(byAgent[id], time.Now())
		}
	}
	return slices.DeleteFunc(slices.Clone(agentIDs), func(id string) bool {
		held, _ := p.lookups.of(id).fresh(time.Now())
		return len(p.choices(id, held, nil)) == 0
	})
}

// choice is a link by which an agent may be reached.
type choice struct {
	link     *link
	counter  int64 // the highest by which that relay says so
	paused   bool  // on every machine that it holds
	inFlight int
}

// choices are the links by which an agent may be reached, the best first: one to
// a machine that is not paused, and on which the least is under way.
func (p *Peers) choices(agentID string, held []Holding, tried []string) []choice {
	byRelay := make(map[Relay]choice)
	for _, h := range held {
		c, known := byRelay[h.Relay]
		c.counter = max(c.counter, h.Counter)
		c.paused = (c.paused || !known) && h.Instance.Paused != nil
		byRelay[h.Relay] = c
	}
	var all []choice
	for r, c := range byRelay {
		if slices.Contains(tried, r.ID) {
			continue
		}
		if c.link = p.linkTo(r); c.link == nil {
			continue
		}
		var ok bool
		if c.inFlight, ok = c.link.useful(agentID, c.counter); ok {
			all = append(all, c) // among equals, as the map has them: at random
		}
	}
	slices.SortStableFunc(all, func(a, b choice) int {
		switch {
		case a.paused != b.paused && a.paused:
			return 1
		case a.paused != b.paused:
			return -1
		}
		return a.inFlight - b.inFlight
	})
	return all
}

// Way implements hub.Elsewhere.
func (p *Peers) Way(ctx context.Context, agentID string, tried []string) (_ hub.Way, full *hub.Full) {
	if p.server == nil { // not serving yet
		return nil, nil
	}
	all := p.choices(agentID, p.lately(agentID), tried)
	if len(all) == 0 {
		all = p.choices(agentID, p.holdings(ctx, agentID), tried)
	}
	for _, c := range all {
		conn, err := c.link.take(agentID)
		if err == nil {
			return &way{link: c.link, conn: conn, agentID: agentID, counter: c.counter}, nil
		}
		if limit := (*fullError)(nil); errors.As(err, &limit) {
			full = &hub.Full{Relay: c.link.relay.ID, Limit: limit.limit}
		}
	}
	return nil, full
}

// Trouble implements hub.Elsewhere.
func (p *Peers) Trouble(agentID string) *hub.Trouble {
	one := p.lookups.of(agentID)
	one.mu.Lock()
	held, failed := one.held, one.failed
	one.mu.Unlock()
	if failed && len(held) == 0 {
		return &hub.Trouble{Why: "the database does not answer", Hint: "Nothing was sent. Check that the relay reaches its database; its log says more."}
	}
	for _, h := range held {
		if h.Relay.Address == "" {
			return &hub.Trouble{Relay: h.Relay.ID, Why: "takes no requests of other relays",
				Hint: "Nothing was sent. Set peer-listen on every relay that shares the database."}
		}
		l := p.linkTo(h.Relay)
		if l == nil {
			continue
		}
		if err := l.trouble(); err != nil {
			return &hub.Trouble{Relay: h.Relay.ID, Address: h.Relay.Address, Why: words(err),
				Hint: "Nothing was sent. Check that that relay runs, that its peer-address is right, and that the other relays may connect to it there."}
		}
	}
	return nil
}

// Forget has the store asked anew where an agent is.
func (p *Peers) Forget(agentID string) { p.lookups.forget(agentID) }
