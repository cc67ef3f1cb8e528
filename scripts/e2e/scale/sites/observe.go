package main

import (
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Report is what the sites have seen since the last reset.
type Report struct {
	Tunnels int // up now, of all agents
	Online  int // agents with at least one
	Whole   int // agents with all of theirs
	// Ups are when tunnels came up, in milliseconds since the reset, and Firsts
	// when the first one of each agent did; Downs is how many ended.
	Ups, Firsts []int
	Downs       int
	// Failures are attempts to reach the relay that failed, by what was logged.
	Failures map[string]int
	// Most is how many attempts failed at one agent, at most.
	Most int
	// What the process itself holds; with ?gc, after a garbage collection.
	Goroutines int
	HeapBytes  uint64
	Files      int
}

// ports are what tells the same failure of two agents apart.
var ports = regexp.MustCompile(`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`)

// observer counts what the links log.
type observer struct {
	mu       sync.Mutex // guards the following
	since    time.Time
	ups      []int
	firsts   []int
	downs    int
	failures map[string]int
	agents   []*counter
}

// counter is a logger's core that counts for one agent.
type counter struct {
	zapcore.LevelEnabler
	seen   *observer
	failed int  // guarded by seen.mu, as is up
	up     bool // since the last reset
}

func newObserver() *observer { return &observer{since: time.Now(), failures: map[string]int{}} }

func (o *observer) logger() *zap.Logger {
	c := &counter{LevelEnabler: zapcore.InfoLevel, seen: o}
	o.agents = append(o.agents, c)
	return zap.New(c)
}

func (o *observer) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since, o.ups, o.firsts, o.downs, o.failures = time.Now(), nil, nil, 0, map[string]int{}
	for _, c := range o.agents {
		c.failed, c.up = 0, false
	}
}

func (o *observer) report(r *Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Ups, r.Firsts, r.Downs, r.Failures = slices.Clone(o.ups), slices.Clone(o.firsts), o.downs, maps.Clone(o.failures)
	for _, c := range o.agents {
		r.Most = max(r.Most, c.failed)
	}
}

// With implements zapcore.Core; fields do not matter here.
func (c *counter) With([]zapcore.Field) zapcore.Core { return c }

// Check implements zapcore.Core.
func (c *counter) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}

// Write implements zapcore.Core: the messages are those of package link.
func (c *counter) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.seen.mu.Lock()
	defer c.seen.mu.Unlock()
	switch e.Message {
	case "tunnel up":
		at := int(time.Since(c.seen.since).Milliseconds())
		c.seen.ups = append(c.seen.ups, at)
		if !c.up {
			c.up = true
			c.seen.firsts = append(c.seen.firsts, at)
		}
	case "tunnel down":
		c.seen.downs++
	case "relay not reached", "relay refuses this machine; this will not heal by itself":
		c.failed++
		text := e.Message
		for _, f := range fields {
			if err, ok := f.Interface.(error); ok && f.Key == "error" {
				text = ports.ReplaceAllString(err.Error(), "")
			}
		}
		c.seen.failures[text]++
	}
	return nil
}

// Sync implements zapcore.Core.
func (*counter) Sync() error { return nil }
