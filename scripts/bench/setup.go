package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/internal/child"
	"sallyport/internal/testkit"
)

// The names of the ways.
const (
	direct     = "direct"
	sshReverse = "ssh -R"
	sallyport  = "sallyport"
)

// wayKeys are what --ways calls them.
var wayKeys = map[string]string{"direct": direct, "ssh": sshReverse, "sallyport": sallyport}

// comeUp is how long a part may take to come up.
const comeUp = 30 * time.Second

// way is one way to the target.
type way struct {
	name   string
	near   *door  // over a path without delay
	far    *door  // over the long path
	absent string // why it is not measured
}

// setup is everything that runs while it is measured.
type setup struct {
	choice    choice
	bin       string // the folder of the binaries
	work      string // a folder of its own
	target    string // host:port
	targetPID int
	ways      []*way
	undo      []func()
}

// setUp starts all parts. What it has started when one fails it stops again.
func setUp(ctx context.Context, bin string, wanted choice) (*setup, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*comeUp)
	defer cancel()
	s := &setup{choice: wanted, bin: bin}
	if err := s.start(ctx); err != nil {
		s.tearDown()
		return nil, err
	}
	return s, nil
}

func (s *setup) start(ctx context.Context) (err error) {
	if s.work, err = os.MkdirTemp("", "sallyport-bench-"); err != nil {
		return err
	}
	s.undo = append(s.undo, func() { _ = os.RemoveAll(s.work) })
	if err := s.startTarget(ctx); err != nil {
		return err
	}
	for _, open := range []struct {
		name string
		way  func(context.Context) (*way, error)
	}{{direct, s.directWay}, {sshReverse, s.sshWay}, {sallyport, s.sallyportWay}} {
		if !slices.Contains(s.choice.ways, open.name) {
			continue
		}
		w, err := open.way(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", open.name, err)
		}
		w.name = open.name
		s.ways = append(s.ways, w)
	}
	return nil
}

// directWay reaches the target without anything between.
func (s *setup) directWay(context.Context) (*way, error) {
	return &way{near: &door{url: "http://" + s.target, parts: s.ends()}}, nil
}

// ends are the parts that every way has.
func (s *setup) ends() []part {
	return []part{{"load", os.Getpid()}, {"target", s.targetPID}}
}

// pids are the processes of all parts, for a profiler.
func (s *setup) pids() string {
	text := fmt.Sprintf("load %d, target %d", os.Getpid(), s.targetPID)
	for _, w := range s.ways {
		for _, d := range []*door{w.near, w.far} {
			if d == nil || len(d.parts) <= 2 {
				continue
			}
			path := "near"
			if d == w.far {
				path = "far"
			}
			text += fmt.Sprintf("; %s (%s)", w.name, path)
			for _, p := range d.parts[2:] {
				text += fmt.Sprintf(" %s %d", p.name, p.pid)
			}
		}
	}
	return text
}

// tearDown stops everything, the last started first.
func (s *setup) tearDown() {
	for _, undo := range slices.Backward(s.undo) {
		undo()
	}
}

// launch starts a part that is stopped by tearDown. Its last output is in the
// error of whoever waits for it in vain.
func (s *setup) launch(o child.Options) (*child.Child, error) {
	c, err := child.Start(o)
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() {
		if err := c.Stop(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	})
	return c, nil
}

// startTarget starts this program again as the target.
func (s *setup) startTarget(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	output, input := io.Pipe()
	c, err := s.launch(child.Options{Name: "target", Path: self, Args: []string{"--target"}, Output: input})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { output.CloseWithError(ctx.Err()) })
	defer stop()
	go func() {
		<-c.Done()
		_ = input.CloseWithError(errors.New("the target has ended"))
	}()
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start the target: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	s.target, s.targetPID = strings.TrimSpace(address), c.PID()
	return nil
}

// longPath opens a path to an address of loopback that is as long as roundTrip.
func (s *setup) longPath(to string) (string, error) {
	forwarder, err := testkit.NewForwarder("127.0.0.1:0", to)
	if err != nil {
		return "", err
	}
	s.undo = append(s.undo, forwarder.Close)
	forwarder.SetDelay(roundTrip / 2)
	return forwarder.Addr(), nil
}

// await calls ready until it returns nil, ctx ends, or the part has died.
func await(ctx context.Context, c *child.Child, ready func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.Done():
			return fmt.Errorf("%s has ended: %w", c.Name(), errors.Join(c.Err(), err))
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", c.Name(), errors.Join(ctx.Err(), err))
		}
	}
}
