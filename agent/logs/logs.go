// Package logs is where the agent's log goes: standard error, a file within
// limits, the event log of Windows, and, where the site allows it, the relay's
// page while somebody reads there. Its level can be changed while the agent
// runs.
//
// Package cli opens it, and reads the file back through package linefile. No
// request ever waits for an output; what none takes in time is counted, not kept.
package logs

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sallyport/agent/linefile"
	"sallyport/internal/logging"
)

// Options say where the log goes.
type Options struct {
	Level  string
	Format string    // of Err
	Err    io.Writer // nil: nobody keeps what the agent prints
	Path   string    // of the file, in JSON; "": none
	Limits linefile.Limits
	// Service is the name under which Windows' event log knows the agent; "":
	// it does not.
	Service string
	// Remote is whether the relay may follow the log.
	Remote bool
	// Scrub takes secrets out of what the relay gets; nil: nothing is taken out.
	Scrub func(string) string
}

// Logs is an open log. Close it, or the last lines are lost.
type Logs struct {
	log     *zap.Logger
	level   *level
	tail    *Tail
	buffers []*logging.Buffer
	closers []io.Closer // after the buffers
}

// Open opens the outputs.
func Open(o Options) (*Logs, error) {
	configured, err := logging.ParseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	l := &Logs{level: newLevel(configured)}
	var cores []zapcore.Core
	add := func(format string, w io.Writer) (*logging.Dial, error) {
		buffer := logging.Buffered(w)
		l.buffers = append(l.buffers, buffer)
		core, dial, err := logging.NewOutput(logging.Options{Format: format, Level: o.Level, Output: buffer})
		cores = append(cores, core)
		return dial, err
	}
	if o.Err != nil {
		l.level.err, err = add(o.Format, o.Err)
	}
	if err == nil && o.Path != "" {
		if err = o.Limits.Check(); err == nil {
			file := linefile.Create(o.Path, o.Limits)
			l.closers = append(l.closers, file)
			l.level.file, err = add("json", file)
		}
	}
	if events := openEventLog(o.Service); events != nil && err == nil {
		// Administrators look there, and it is no place for every request.
		l.closers = append(l.closers, events)
		var dial *logging.Dial
		if dial, err = add("json", events); err == nil {
			dial.SetLevel(zapcore.WarnLevel)
		}
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	l.tail = newTail(o.Remote, o.Scrub)
	cores = append(cores, l.tail.core())
	l.log = zap.New(zapcore.NewTee(cores...))
	return l, nil
}

// Logger is what to log with.
func (l *Logs) Logger() *zap.Logger { return l.log }

// Remote reports whether the relay may follow the log.
func (l *Logs) Remote() bool { return l.tail.allowed.Load() }

// Tail is the log for who follows it from afar.
func (l *Logs) Tail() *Tail { return l.tail }

// Lost is how many lines some output did not take.
func (l *Logs) Lost() int64 {
	var lost int64
	for _, b := range l.buffers {
		lost += b.Lost()
	}
	return lost
}

// Close writes what is left, as far as the outputs take it in time.
func (l *Logs) Close() error {
	if l.tail != nil {
		l.tail.close()
	}
	l.level.close()
	var stuck error
	for _, b := range l.buffers {
		if err := b.Close(); err != nil {
			stuck = err
		}
	}
	if stuck != nil {
		return stuck // closing the file would wait, too
	}
	for _, c := range l.closers {
		if err := c.Close(); err != nil {
			return fmt.Errorf("close the log: %w", err)
		}
	}
	return nil
}

// Level is what is logged.
type Level struct {
	Level      string    `json:"level"`
	Configured string    `json:"configured"`     // that of agent.yaml
	Until      time.Time `json:"until,omitzero"` // when it goes back to that; zero: not by itself
}

// Configure takes what agent.yaml says now: all of it or, with an error, nothing.
// A level that was set for a while stays until that is over.
func (l *Logs) Configure(name, format string, remote bool) error {
	level, err := logging.ParseLevel(name)
	if err != nil {
		return err
	}
	if err := l.level.configure(level, format); err != nil {
		return err
	}
	l.tail.allow(remote)
	return nil
}

// Level is what is logged now.
func (l *Logs) Level() Level { return l.level.read() }

// SetLevel changes what is logged: until the agent is restarted, or, where it
// lasts, for so long.
func (l *Logs) SetLevel(name string, lasts time.Duration) (Level, error) {
	level, err := logging.ParseLevel(name)
	if err != nil {
		return Level{}, err
	}
	if lasts < 0 || lasts > longest {
		return Level{}, fmt.Errorf("a level lasts for %s at most, or, with no time given, until the agent is restarted", longest)
	}
	l.level.set(level, lasts)
	return l.level.read(), nil
}

// longest is the longest that a level which goes back by itself may last.
const longest = 7 * 24 * time.Hour
