package logging

import (
	"io"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Dial changes a logger that is in use. It is safe for concurrent use.
type Dial struct {
	level   zap.AtomicLevel
	console *atomic.Bool
}

// NewAdjustable is New, for who wants to change the format later too.
func NewAdjustable(o Options) (*zap.Logger, *Dial, error) {
	core, dial, err := NewOutput(o)
	if err != nil {
		return nil, nil, err
	}
	return zap.New(core), dial, nil
}

// NewOutput makes one of several outputs of a logger, each with a Dial of its
// own.
func NewOutput(o Options) (zapcore.Core, *Dial, error) {
	dial := &Dial{level: zap.NewAtomicLevel(), console: new(atomic.Bool)}
	if err := dial.Set(o.Level, o.Format); err != nil {
		return nil, nil, err
	}
	return newCore(o.Output, dial), dial, nil
}

func newCore(output io.Writer, dial *Dial) zapcore.Core {
	var sink zapcore.WriteSyncer
	if buffer, ok := output.(*Buffer); ok {
		sink = buffer // it has a lock of its own
	} else {
		sink = zapcore.Lock(unsynced(output))
	}
	return prompt{either{
		json:    zapcore.NewCore(newEncoder(false), sink, dial.level),
		lines:   zapcore.NewCore(newEncoder(true), sink, dial.level),
		console: dial.console,
	}}
}

// Set changes level and format, both or, with an error, neither.
func (d *Dial) Set(level, format string) error {
	l, err := ParseLevel(level)
	if err != nil {
		return err
	}
	console, err := parseFormat(format)
	if err != nil {
		return err
	}
	d.level.SetLevel(l)
	d.console.Store(console)
	return nil
}

// Level is the least level that is logged.
func (d *Dial) Level() zapcore.Level { return d.level.Level() }

// SetLevel changes the level alone.
func (d *Dial) SetLevel(level zapcore.Level) { d.level.SetLevel(level) }

// either is a core that writes in one of two formats.
type either struct {
	json, lines zapcore.Core
	console     *atomic.Bool
}

func (e either) core() zapcore.Core {
	if e.console.Load() {
		return e.lines
	}
	return e.json
}

func (e either) Enabled(l zapcore.Level) bool { return e.json.Enabled(l) } // both ask the same

func (e either) With(fields []zapcore.Field) zapcore.Core {
	return either{json: e.json.With(fields), lines: e.lines.With(fields), console: e.console}
}

func (e either) Check(entry zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Enabled(entry.Level) {
		return ce.AddCore(entry, e)
	}
	return ce
}

func (e either) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	return e.core().Write(entry, fields)
}

func (e either) Sync() error { return e.json.Sync() } // they share what they write to
