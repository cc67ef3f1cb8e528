package testkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/child"
)

// Process is a program that a test started. It ends with the test, and when
// the test has failed, the end of its output is shown.
type Process struct {
	*child.Child
	log *Log
}

// ProcessOptions say what to start.
type ProcessOptions struct {
	Name string // for messages, and for the file of its output
	Path string
	Args []string
	Env  []string // added to the environment of the test
	Dir  string
	Site *Site // where given, it runs inside that network namespace
	// Log collects the output. Nil: a new one. Give that of an earlier process
	// to read the output of a program across a restart as one.
	Log *Log
}

// Start starts a program for the length of the test.
func Start(t testing.TB, o ProcessOptions) *Process {
	t.Helper()
	path, args := o.Path, o.Args
	if o.Site != nil {
		path, args = o.Site.command(path, args)
	}
	p := &Process{log: o.Log}
	fresh := p.log == nil
	if fresh {
		p.log = &Log{}
	}
	c, err := child.Start(child.Options{Name: o.Name, Path: path, Args: args, Dir: o.Dir, Env: o.Env, Output: p.log})
	if err != nil {
		t.Fatal(err)
	}
	p.Child = c
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if fresh && t.Failed() {
			t.Logf("the end of the output of %s:\n%s", o.Name, p.log.Tail(60))
		}
	})
	return p
}

// Log is everything that the process has written so far.
func (p *Process) Log() *Log { return p.log }

// MustStop stops the process as an operator would, and fails the test where it
// had to be killed.
func (p *Process) MustStop(t testing.TB) {
	t.Helper()
	if err := p.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Log collects what programs write.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines that contain every one of the given texts.
func (l *Log) Lines(with ...string) []string {
	var found []string
next:
	for line := range strings.Lines(l.String()) {
		for _, w := range with {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, strings.TrimSuffix(line, "\n"))
	}
	return found
}

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// Eventually calls check until it returns nil, and fails the test with its
// last error when that takes longer than the timeout.
func Eventually(t testing.TB, timeout time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, timeout, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ModuleRoot is the folder of go.mod, above the folder that the test runs in.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}
