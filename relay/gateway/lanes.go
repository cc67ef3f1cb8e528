package gateway

import (
	"sync"
	"time"

	"sallyport/relay/connection"
)

// Caller is for whom a request is sent.
type Caller struct {
	Kind string // "user", "token" or "system"
	ID   string
	Name string // as the site's own ledger names them
}

// weight is how many turns a caller has in each round: a person who waits in
// front of a page has two, a program one.
func (c Caller) weight() int {
	if c.Kind == "user" {
		return 2
	}
	return 1
}

// lanes are those of the connections that have limits, each made when it is
// first needed. A relay counts what goes through itself.
type lanes struct {
	mu    sync.Mutex // guards the following
	lanes map[laneKey]*lane
}

// laneKey keeps workspaces apart.
type laneKey struct{ workspaceID, connectionID string }

// enter takes the connection's lane; each must be left.
func (s *lanes) enter(c *connection.Connection) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := laneKey{c.WorkspaceID, c.ID}
	l := s.lanes[key]
	if l == nil {
		for other, l := range s.lanes { // those that nobody would miss
			if l.users == 0 && l.rested() {
				delete(s.lanes, other)
			}
		}
		if s.lanes == nil {
			s.lanes = make(map[laneKey]*lane)
		}
		l = newLane()
		s.lanes[key] = l
	}
	l.users++
	l.set(c.Requests.Limits)
	return l
}

// leave is the end of enter. A lane with a rate is kept, since it remembers what
// has lately begun.
func (s *lanes) leave(c *connection.Connection, l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := laneKey{c.WorkspaceID, c.ID}
	if l.users--; l.users == 0 && s.lanes[key] == l && l.rested() {
		delete(s.lanes, key)
	}
}

// takeTurn waits for the request's turn, where its connection has limits. It
// is given back by endTurn.
func (p *passage) takeTurn() *turnError {
	if !p.c.Requests.Limits.Any() {
		return nil
	}
	p.lane = p.g.lanes.enter(p.c)
	began := time.Now()
	err := p.lane.take(p.ctx, p.caller, p.deadline)
	p.queued = time.Since(began)
	p.hasTurn = err == nil
	p.pace.bound(p.hasTurn)
	return err
}

func (p *passage) endTurn() {
	if p.lane == nil {
		return
	}
	if p.hasTurn {
		p.lane.release()
	}
	p.g.lanes.leave(p.c, p.lane)
}
