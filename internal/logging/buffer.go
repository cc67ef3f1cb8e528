package logging

import (
	"io"
	"time"

	"go.uber.org/zap/zapcore"
)

// flushEvery is how long a line waits at most before it is written. A write for
// each line would cost a busy relay or agent a system call, and waking whoever
// reads the log, for every request.
const flushEvery = 250 * time.Millisecond

// bufferSize is how many bytes of lines gather at most.
const bufferSize = 64 << 10

// Buffer gathers lines on their way to a log's output. Lines at level warn and
// above are written at once, with all that waits before them. Close it, or the
// last lines are lost.
type Buffer struct{ gathered *zapcore.BufferedWriteSyncer }

// Buffered returns a Buffer before w, for Options.Output.
func Buffered(w io.Writer) *Buffer {
	return &Buffer{&zapcore.BufferedWriteSyncer{WS: unsynced(w), Size: bufferSize, FlushInterval: flushEvery}}
}

// Write takes a line.
func (b *Buffer) Write(line []byte) (int, error) { return b.gathered.Write(line) }

// Sync writes what has gathered.
func (b *Buffer) Sync() error { return b.gathered.Sync() }

// Close writes what has gathered and ends the Buffer's goroutine. What is
// logged later is lost.
func (b *Buffer) Close() error { return b.gathered.Stop() }

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
