package logging

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// flushEvery is how long a line waits at most before it is written. A write
	// for each line would cost a busy relay or agent a system call, and waking
	// whoever reads the log, for every request.
	flushEvery = 250 * time.Millisecond
	// flushAt is how many bytes of lines wait at most before they are written.
	flushAt = 64 << 10
	// mostWaiting is how many bytes of lines may wait while the output takes
	// none: a full pipe, a hung disk.
	mostWaiting = 1 << 20
	// syncWait is how long whoever logs a warning waits for it to be written. An
	// output that takes longer is waited for no more, until it writes again.
	syncWait = 100 * time.Millisecond
	// closeWait is how long Close waits for the last lines to be written.
	closeWait = 2 * time.Second
)

// Buffer gathers lines on their way to an output, and writes them in a goroutine
// of its own: whoever logs never waits for the output. Lines for which there is
// no room are dropped, and counted in a line that comes in their place. Lines at
// level warn and above are written at once, with all that waits before them.
// Close it, or the last lines are lost.
type Buffer struct {
	out     io.Writer
	missing func(lines int, at time.Time) []byte
	fresh   chan struct{} // takes one: something waits to be written
	urgent  chan struct{} // takes one: and not any longer
	end     chan struct{} // closed by Close
	ended   chan struct{} // closed when the goroutine has ended
	closing sync.Once
	cut     bool // the last line may not be whole; the goroutine's own

	mu      sync.Mutex    // guards the following
	waiting []byte        // whole lines
	lines   int           // in waiting
	spare   []byte        // what waiting becomes when it is written
	dropped int           // lines since the last that was taken
	told    int           // dropped lines that a line in waiting tells of
	lost    int64         // lines in all
	written chan struct{} // closed when waiting has been written, or failed to be
	stuck   bool          // the output takes too long: nobody waits for it
}

// Buffered returns a Buffer before w, for Options.Output.
func Buffered(w io.Writer) *Buffer { return BufferedLines(w, droppedLine) }

// BufferedLines returns a Buffer for lines that are not a log's. missing makes
// the line that says that others were dropped.
func BufferedLines(w io.Writer, missing func(lines int, at time.Time) []byte) *Buffer {
	b := &Buffer{
		out: w, missing: missing, fresh: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		end: make(chan struct{}), ended: make(chan struct{}), written: make(chan struct{}),
	}
	go b.work()
	return b
}

// Write takes a line. It does not block.
func (b *Buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting)+len(line) > mostWaiting {
		b.dropped++
		b.lost++
		return len(line), nil
	}
	if len(b.waiting) == 0 {
		signal(b.fresh)
	}
	if b.dropped > 0 {
		b.waiting = append(b.waiting, b.missing(b.dropped, time.Now())...)
		b.told, b.dropped = b.told+b.dropped, 0
	}
	b.waiting = append(b.waiting, line...)
	b.lines++
	if len(b.waiting) >= flushAt {
		signal(b.urgent)
	}
	return len(line), nil
}

// droppedLine says, as the JSON lines around it do, that others are missing.
func droppedLine(n int, at time.Time) []byte {
	return fmt.Appendf(nil, `{"level":"warn","time":%q,"logger":"logging","msg":"lines dropped: the log's output took none","lines":%d}`+"\n",
		at.UTC().Format(timeLayout), n)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // is signalled already
	}
}

// Lost is how many lines were never written.
func (b *Buffer) Lost() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Sync has what has gathered written, and waits for that, if the output takes it
// at all.
func (b *Buffer) Sync() error {
	b.mu.Lock()
	written, wait := b.written, len(b.waiting) > 0 && !b.stuck
	b.mu.Unlock()
	signal(b.urgent)
	if !wait {
		return nil
	}
	timer := time.NewTimer(syncWait)
	defer timer.Stop()
	select {
	case <-written:
	case <-b.ended:
	case <-timer.C:
		b.mu.Lock()
		b.stuck = true
		b.mu.Unlock()
	}
	return nil
}

// Close writes what has gathered, as far as the output takes it, and ends the
// Buffer's goroutine. What is logged later is lost.
func (b *Buffer) Close() error {
	b.closing.Do(func() { close(b.end) })
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-b.ended:
		return nil
	case <-timer.C:
		return errStuck
	}
}

var errStuck = errors.New("the log's output takes nothing: its last lines are lost")

// work writes what gathers. It costs nothing while nothing is logged.
func (b *Buffer) work() {
	defer close(b.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-b.fresh:
			timer.Reset(flushEvery)
			select {
			case <-timer.C:
			case <-b.urgent:
			case <-b.end:
			}
		case <-b.urgent:
		case <-b.end:
			b.flush()
			return
		}
		b.flush()
	}
}

// flush writes what has gathered.
func (b *Buffer) flush() {
	b.mu.Lock()
	batch, lines, told, written := b.waiting, b.lines, b.told, b.written
	b.waiting, b.lines, b.told, b.written = b.spare, 0, 0, make(chan struct{})
	b.spare = nil
	b.mu.Unlock()
	var err error
	if len(batch) > 0 {
		if b.cut {
			_, _ = b.out.Write([]byte("\n"))
		}
		_, err = b.out.Write(batch)
		b.cut = err != nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	close(written)
	b.stuck = false
	if err != nil { // a full disk, perhaps: said when there is room again
		b.dropped += lines + told
		b.lost += int64(lines)
	}
	if cap(batch) <= 2*flushAt { // what a burst needed is given back
		b.spare = batch[:0]
	}
}

// unsynced is w without its Sync: that of a file waits for the disk.
func unsynced(w io.Writer) zapcore.WriteSyncer {
	return zapcore.AddSync(struct{ io.Writer }{w})
}

// prompt is a core that writes at once what somebody should look at.
type prompt struct{ zapcore.Core }

func (p prompt) With(fields []zapcore.Field) zapcore.Core { return prompt{p.Core.With(fields)} }

func (p prompt) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return ce.AddCore(e, p)
	}
	return ce
}

func (p prompt) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if err := p.Core.Write(e, fields); err != nil {
		return err
	}
	if e.Level >= zapcore.WarnLevel {
		return p.Sync()
	}
	return nil
}
