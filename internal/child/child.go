// Package child starts another program and answers for it: the program stops
// when it is told to, is killed when it does not, and never outlives the one
// that started it (on Linux not even where that one is killed itself).
//
// The development runner, the benchmark and the end-to-end tests use it. It is
// no supervisor: it restarts nothing, and what a dead child means is for its
// caller to say.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// DefaultGrace is how long a child may take to stop by itself.
const DefaultGrace = 10 * time.Second

// Options say what to start.
type Options struct {
	Name string // for messages
	Path string
	Args []string
	Dir  string
	// Env is added to the environment of this process; a later entry wins.
	Env []string
	// Output receives what the child writes to standard output and standard
	// error, from one goroutine. Nil: it is thrown away.
	Output io.Writer
	// Grace is how long Stop waits before it kills. 0: DefaultGrace.
	Grace time.Duration
}

// Child is a program that was started.
type Child struct {
	name  string
	grace time.Duration
	cmd   *exec.Cmd
	done  chan struct{}
	err   error // how it ended; read after done is closed
}

// Start starts the program. The caller owns the child and must call Stop or
// Kill, or wait for Done.
func Start(o Options) (*Child, error) {
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Stdout = o.Output
	cmd.Stderr = o.Output
	// A grandchild that keeps our pipe open must not keep us waiting.
	cmd.WaitDelay = 2 * time.Second
	tieToParent(cmd)

	c := &Child{name: o.Name, grace: o.Grace, cmd: cmd, done: make(chan struct{})}
	if c.grace == 0 {
		c.grace = DefaultGrace
	}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the *thread* that started
		// the child ends. This goroutine keeps its thread for as long as the
		// child lives.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	return c, nil
}

// Name is the name that the child was given.
func (c *Child) Name() string { return c.name }

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says how the child ended: nil for exit status 0. It waits for the end.
func (c *Child) Err() error {
	<-c.done
	return c.err
}

// Signal sends one signal to the child itself.
func (c *Child) Signal(s os.Signal) error {
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", c.name, err)
	}
	return nil
}

// Stop asks the child to end and waits for it. One that is still there after
// its grace, or when ctx ends, is killed, and the error says so.
func (c *Child) Stop(ctx context.Context) error {
	if c.ended() {
		return nil
	}
	if err := askToStop(c.cmd); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.Kill()
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	timer := time.NewTimer(c.grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	c.Kill()
	return fmt.Errorf("%s did not stop by itself and was killed", c.name)
}

// Kill ends the child, and whatever it started itself, at once, and waits.
func (c *Child) Kill() {
	if !c.ended() {
		killTree(c.cmd)
	}
	<-c.done
}

func (c *Child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
