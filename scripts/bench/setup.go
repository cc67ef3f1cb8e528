package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/child"
	"sallyport/internal/testkit"
)

// The names of the ways.
const (
	direct       = "direct"
	sshReverse   = "ssh -R"
	sallyport    = "sallyport"
	sallyportTLS = "with TLS" // sallyport, door and tunnel
	goProxies    = "proxies"  // not unless asked for
)

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
	choice        choice
	bin           string // the folder of the binaries
	work          string // a folder of its own
	certificate   *certificate
	plain, secure string // host:port of the target
	targetPID     int
	logs          int
	ways          []*way
	undo          []func()
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
	if s.certificate, err = newCertificate(s.work); err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	if err := s.startTarget(ctx); err != nil {
		return fmt.Errorf("start the target: %w", err)
	}
	for _, name := range s.choice.ways {
		w, err := s.open(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		w.name = name
		s.ways = append(s.ways, w)
	}
	return nil
}

func (s *setup) open(ctx context.Context, name string) (*way, error) {
	switch name {
	case direct:
		return s.directWay()
	case sshReverse:
		return s.sshWay(ctx)
	case goProxies:
		return s.proxiesWay(ctx)
	default:
		return s.sallyportWay(ctx, name == sallyportTLS)
	}
}

// directWay reaches the target without anything between, or over nothing but
// the long path: what that shows there is the path's own doing. (The path takes
// connections at its near end, so their TCP handshake costs no round trip.)
func (s *setup) directWay() (*way, error) {
	w := &way{}
	if s.choice.needs(false) {
		w.near = s.doors(s.plain, s.secure)
	}
	if s.choice.needs(true) {
		plain, err := s.longPath(s.plain)
		if err != nil {
			return nil, err
		}
		secure, err := s.longPath(s.secure)
		if err != nil {
			return nil, err
		}
		w.far = s.doors(plain, secure)
	}
	return w, nil
}

// doors leads to both applications by addresses at which they speak for
// themselves; the client has signed in to them.
func (s *setup) doors(plain, secure string, through ...part) *door {
	signedIn := http.Header{"Cookie": {session.Name + "=" + session.Value}}
	parts := append(s.ends(), through...)
	return &door{
		url: "http://" + plain, header: signedIn, parts: parts,
		https: &door{url: "https://" + secure, header: signedIn, parts: parts, tls: s.certificate.trust},
	}
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

// launch starts a part that is stopped by tearDown. What it writes goes to a
// file, as on a server: a pipe would have this process work for it.
func (s *setup) launch(o child.Options) (*child.Child, logFile, error) {
	s.logs++
	log := logFile(filepath.Join(s.work, fmt.Sprintf("%s-%d.log", o.Name, s.logs)))
	file, err := os.Create(string(log))
	if err != nil {
		return nil, log, err
	}
	defer file.Close() // the child has it too
	if o.Output == nil {
		o.Output = file
	}
	c, err := child.Start(o)
	if err != nil {
		return nil, log, err
	}
	s.undo = append(s.undo, func() {
		if err := c.Stop(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	})
	return c, log, nil
}

// logFile is what a part has written.
type logFile string

// String is the end of it, for a message.
func (f logFile) String() string {
	b, err := os.ReadFile(string(f))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

// startTarget starts this program again as the target.
func (s *setup) startTarget(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c, addresses, err := s.launchForLine(ctx, child.Options{Name: "target", Path: self, Args: []string{
		"--target", "--cert", s.certificate.certFile, "--key", s.certificate.keyFile}})
	if err != nil {
		return err
	}
	var both bool
	if s.plain, s.secure, both = strings.Cut(addresses, " "); !both {
		return fmt.Errorf("it says %q", addresses)
	}
	s.targetPID = c.PID()
	return nil
}

// launchForLine is launch, and waits for the first line that the part writes.
func (s *setup) launchForLine(ctx context.Context, o child.Options) (*child.Child, string, error) {
	output, input := io.Pipe()
	o.Output = input
	c, _, err := s.launch(o)
	if err != nil {
		return nil, "", err
	}
	stop := context.AfterFunc(ctx, func() { output.CloseWithError(ctx.Err()) })
	defer stop()
	go func() {
		<-c.Done()
		_ = input.CloseWithError(errors.New("it has ended"))
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, "", err
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	return c, strings.TrimSpace(line), nil
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
