package logs

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"

	"sallyport/internal/logging"
	"sallyport/proto"
)

const (
	// mostWaiting is how many lines wait to travel at most.
	mostWaiting = 512
	// sendEvery is how often those that wait travel, and atOnce how many bytes of
	// them: 32 KiB a second are more than anybody reads, and little beside the
	// requests that share the line.
	sendEvery = 250 * time.Millisecond
	atOnce    = 8 << 10
	// silent is a level that nothing reaches.
	silent = zapcore.FatalLevel + 1
)

// Reader is who follows the log: the relay, at the end of one tunnel.
type Reader interface {
	Tell(m proto.Control) error // does not block
	Ended() <-chan struct{}     // closed when the tunnel is gone
}

// Tail is an output of the log that keeps nothing, and costs nothing, while
// nobody follows it. It is safe for concurrent use.
type Tail struct {
	allowed atomic.Bool
	scrub   func(string) string
	least   atomic.Int32 // the level of the most curious reader

	mu      sync.Mutex // guards the following
	readers []*follower
	work    sync.WaitGroup
	closed  bool
}

func newTail(allowed bool, scrub func(string) string) *Tail {
	if scrub == nil {
		scrub = func(text string) string { return text }
	}
	t := &Tail{scrub: scrub}
	t.allowed.Store(allowed)
	t.least.Store(int32(silent))
	return t
}

// Follow begins to tell the reader what is logged at the level and above, or
// changes the level; "" ends it, as the end of the reader's tunnel does. It does
// not block. Where the site does not allow it, the reader is told so.
func (t *Tail) Follow(level string, reader Reader) {
	if !t.allowed.Load() {
		if level != "" {
			_ = reader.Tell(&proto.LogLines{Off: true}) // it is gone, if this fails
		}
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.readers, func(f *follower) bool { return f.reader == reader })
	least, err := logging.ParseLevel(level)
	switch {
	case t.closed || err != nil || level == "" && i < 0:
		return
	case level == "":
		close(t.readers[i].end)
		t.readers = slices.Delete(t.readers, i, i+1)
	case i >= 0:
		t.readers[i].level = least
	default:
		f := &follower{tail: t, reader: reader, level: least, end: make(chan struct{}), fresh: make(chan struct{}, 1)}
		t.readers = append(t.readers, f)
		t.work.Go(f.work)
	}
	t.listen()
}

// allow changes whether the log may be followed. Who does is told when it may
// not any more.
func (t *Tail) allow(allowed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.allowed.Swap(allowed); allowed {
		return
	}
	for _, f := range t.readers {
		close(f.end)
		_ = f.reader.Tell(&proto.LogLines{Off: true}) // it is gone, if this fails
	}
	t.readers = nil
	t.listen()
}

// Followed reports whether anybody follows the log.
func (t *Tail) Followed() bool { return t.least.Load() < int32(silent) }

// listen sets the level of what is taken; mu is held.
func (t *Tail) listen() {
	least := silent
	for _, f := range t.readers {
		least = min(least, f.level)
	}
	t.least.Store(int32(least))
}

// leave takes out a reader whose tunnel is gone.
func (t *Tail) leave(f *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers = slices.DeleteFunc(t.readers, func(other *follower) bool { return other == f })
	t.listen()
}

func (t *Tail) close() {
	t.mu.Lock()
	t.closed = true
	for _, f := range t.readers {
		close(f.end)
	}
	t.readers = nil
	t.listen()
	t.mu.Unlock()
	t.work.Wait()
}

// take gives a line to those who want it. It is called by whoever logs.
func (t *Tail) take(line pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.readers {
		if f.level <= line.entry.Level {
			f.take(line)
		}
	}
}

// core is the Tail as an output of a logger.
type core struct {
	tail   *Tail
	fields zapcore.Encoder // of the logger, without those of the line
}

func (t *Tail) core() zapcore.Core { return core{t, logging.NewFieldsEncoder()} }

func (c core) Enabled(level zapcore.Level) bool { return int32(level) >= c.tail.least.Load() }

func (c core) With(fields []zapcore.Field) zapcore.Core {
	with := c.fields.Clone()
	for _, f := range fields {
		f.AddTo(with)
	}
	return core{c.tail, with}
}

func (c core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	text, err := c.fields.EncodeEntry(zapcore.Entry{}, fields)
	if err != nil {
		return err
	}
	c.tail.take(pending{e, strings.TrimSpace(text.String())})
	text.Free()
	return nil
}

func (c core) Sync() error { return nil }
