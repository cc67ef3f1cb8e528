package logs

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"sallyport/proto"
)

// follower is a reader, and what waits for it.
type follower struct {
	tail   *Tail
	reader Reader
	level  zapcore.Level // guarded by the tail's mu
	end    chan struct{} // closed when it wants no more
	fresh  chan struct{} // takes one: a line waits

	mu      sync.Mutex // guards the following
	lines   []pending
	dropped int
}

// pending is a line that waits, with its secrets still in it: whoever logs has
// no time to look for them.
type pending struct {
	entry  zapcore.Entry
	fields string // JSON
}

func (f *follower) take(line pending) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == mostWaiting {
		f.dropped++
		return
	}
	f.lines = append(f.lines, line)
	if len(f.lines) == 1 {
		select {
		case f.fresh <- struct{}{}:
		default:
		}
	}
}

// work sends what waits, a little at a time, until the reader wants no more or
// is gone.
func (f *follower) work() {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select {
		case <-f.end:
			return
		case <-f.reader.Ended():
			f.tail.leave(f)
			return
		case <-f.fresh:
		}
		for more := true; more; {
			select {
			case <-f.end:
				return
			case <-f.reader.Ended():
				f.tail.leave(f)
				return
			case <-pace.C:
			}
			more = f.send()
			pace.Reset(sendEvery)
		}
	}
}

// send sends one message, and reports whether more waits.
func (f *follower) send() bool {
	f.mu.Lock()
	m, size, n := &proto.LogLines{Dropped: f.dropped}, 0, 0
	for ; n < len(f.lines) && size < atOnce; n++ {
		line := f.lines[n].scrubbed(f.tail.scrub)
		size += len(line.Message) + len(line.Fields) + 100
		m.Lines = append(m.Lines, line)
	}
	f.lines = append(f.lines[:0:0], f.lines[n:]...)
	more := len(f.lines) > 0
	f.dropped = 0
	f.mu.Unlock()
	if len(m.Lines) == 0 && m.Dropped == 0 {
		return more
	}
	if f.reader.Tell(m) != nil { // the line is full of what is more important
		f.mu.Lock()
		f.dropped += m.Dropped + len(m.Lines)
		f.mu.Unlock()
	}
	return more
}

// scrubbed is the line as it may travel: without secrets, and no longer than a
// line may be.
func (p pending) scrubbed(scrub func(string) string) proto.LogLine {
	line := proto.LogLine{Time: p.entry.Time.UTC(), Level: levelName(p.entry.Level), Logger: cut(p.entry.LoggerName, 64), Message: cut(scrub(p.entry.Message), proto.MaxLogMessage)}
	fields := scrub(p.fields)
	switch {
	case fields == "{}":
	case len(fields) > proto.MaxLogFields || !json.Valid([]byte(fields)):
		line.Fields = json.RawMessage(`{"cut":"the fields of this line are too long to travel"}`)
	default:
		line.Fields = json.RawMessage(fields)
	}
	return line
}

func levelName(l zapcore.Level) string { return min(l, zapcore.ErrorLevel).String() }

// cut is the text in valid UTF-8, in no more bytes than that.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
