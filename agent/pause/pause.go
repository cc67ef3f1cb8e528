// Package pause is the site's switch: while it is off, the agent answers every
// request of the relay at once with agent_paused, and sends none on. Tunnels
// stay up, and what is under way ends as it would have.
//
// Package cli turns it, through the control endpoint, or by the file where no
// agent runs: a pause outlives a restart. The package tells nobody by itself; it
// calls whoever wants to know.
package pause

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/agent/config"
	"sallyport/proto"
)

// File holds the pause, within the data directory. There is none while the
// agent is not paused.
const File = "pause.json"

// Longest is the longest that a pause which ends by itself may last.
const Longest = 366 * 24 * time.Hour

// Switch pauses and resumes. It is safe for concurrent use. Close it.
type Switch struct {
	dir   string
	clock func() time.Time
	now   atomic.Pointer[proto.Paused] // nil: not paused

	mu      sync.Mutex // held by whoever changes it; guards the following
	changed func(proto.Paused)
	timer   *time.Timer
	closed  bool
}

// Open makes a Switch that stands as it was left in the directory.
func Open(dir string) (*Switch, error) {
	s := &Switch{dir: dir, clock: time.Now, changed: func(proto.Paused) {}}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := load(dir, s.clock().UTC())
	switch {
	case p == nil:
	case !p.Until.IsZero() && !s.clock().Before(p.Until):
		if err := s.forget(); err != nil {
			return nil, err
		}
	default:
		s.now.Store(p)
		s.arm(p)
	}
	return s, nil
}

// load reads the pause in the directory; nil: there is none. One that can't be
// read is a pause all the same: what the site has paused must not go on by
// mistake.
func load(dir string, now time.Time) *proto.Paused {
	text, err := os.ReadFile(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p proto.Paused
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || p.Since.IsZero() || sound(p.Reason) != nil {
		return &proto.Paused{Since: now, Reason: "its " + File + " can't be read; pause or resume it anew"}
	}
	return &p
}

// sound refuses a reason that can't travel.
func sound(reason string) error {
	if len(reason) > proto.MaxPauseReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("the reason is longer than %d bytes, or not one line of text", proto.MaxPauseReason)
	}
	return nil
}

// Watch has changed called after every change, one call at a time, with how the
// switch stands then.
func (s *Switch) Watch(changed func(proto.Paused)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = changed
}

// Paused is how the switch stands; its zero value: not paused.
func (s *Switch) Paused() proto.Paused {
	if p := s.now.Load(); p != nil {
		return *p
	}
	return proto.Paused{}
}

// Pause pauses. A reason may be empty; with lasts 0 the pause ends when somebody
// resumes. One that is on already is replaced, but keeps its beginning.
func (s *Switch) Pause(reason string, lasts time.Duration) (proto.Paused, error) {
	reason = strings.TrimSpace(reason)
	if err := sound(reason); err != nil {
		return proto.Paused{}, err
	}
	if lasts < 0 || lasts > Longest {
		return proto.Paused{}, fmt.Errorf("a pause of %s: it lasts for a year at most, or, with no time given, until somebody resumes", lasts)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock().UTC().Round(0)
	p := proto.Paused{Since: now, Reason: reason}
	if before := s.now.Load(); before != nil {
		p.Since = before.Since
	}
	if lasts > 0 {
		p.Until = now.Add(lasts)
	}
	if err := keep(s.dir, p); err != nil {
		return proto.Paused{}, err
	}
	s.now.Store(&p)
	s.arm(&p)
	s.changed(p)
	return p, nil
}

// Resume ends the pause, and reports what it was; not being paused is no error.
func (s *Switch) Resume() (proto.Paused, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resume()
}

// resume is Resume; mu is held.
func (s *Switch) resume() (proto.Paused, error) {
	was := s.Paused()
	if err := s.forget(); err != nil {
		return was, err
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.now.Swap(nil) != nil {
		s.changed(proto.Paused{})
	}
	return was, nil
}

// arm has the pause end when its time is up; mu is held.
func (s *Switch) arm(p *proto.Paused) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if p.Until.IsZero() || s.closed {
		return
	}
	s.timer = time.AfterFunc(p.Until.Sub(s.clock()), s.expire)
}

// checkEvery is how often the clock is looked at once the time should be up: a
// timer does not go on while the machine sleeps, and clocks are set.
const checkEvery = time.Second

func (s *Switch) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.now.Load()
	if s.closed || p == nil || p.Until.IsZero() {
		return
	}
	if left := p.Until.Sub(s.clock()); left > 0 {
		s.timer = time.AfterFunc(max(left, checkEvery), s.expire)
		return
	}
	if _, err := s.resume(); err != nil { // the disk is full, say: requests go on all the same
		s.now.Store(nil)
		s.changed(proto.Paused{})
	}
}

// Close stops what would end the pause; the pause stays.
func (s *Switch) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Wrap is next behind the switch.
func (s *Switch) Wrap(next http.RoundTripper) http.RoundTripper { return &gate{s, next} }

type gate struct {
	s    *Switch
	next http.RoundTripper
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	p := g.s.now.Load()
	if p == nil {
		return g.next.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close() // nothing of it was used
	}
	return nil, p.Failure("The agent")
}

// keep writes the pause down.
func keep(dir string, p proto.Paused) error {
	place, err := config.Reserve(dir, File)
	if err != nil {
		return fmt.Errorf("keep the pause: %w", err)
	}
	if err := place.Write(p); err != nil {
		return fmt.Errorf("keep the pause: %w", err)
	}
	return nil
}

// forget takes the file away.
func (s *Switch) forget() error {
	if err := os.Remove(filepath.Join(s.dir, File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the pause: %w", err)
	}
	return nil
}
