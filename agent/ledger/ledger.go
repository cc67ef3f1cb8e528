// Package ledger writes down every request that the relay sends through this
// agent: when, for whom, what, what became of it. The site's admin reads it with
// `sallyport-agent ledger`; nothing of it leaves the machine.
//
// It stands before all else that a request passes, so that what the pause and
// the policy refuse is in it too. It decides nothing, and no request ever waits
// for it: what the disk does not take in time is counted, not kept.
package ledger

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"sallyport/agent/linefile"
	"sallyport/internal/logging"
)

// File is the ledger's name within the data directory.
const File = "ledger.jsonl"

// Decision is what the site decided about a request.
type Decision string

const (
	Allowed Decision = "allowed" // what became of it, Status or Code tells
	Denied  Decision = "denied"  // by the policy
	Paused  Decision = "paused"  // the agent was
)

// Entry is one line of the ledger: one request, written when its answer has
// ended. Where others are missing before it, it is a line of its own that has
// Time and Missing only.
type Entry struct {
	Time         time.Time `json:"time"` // when the request came; UTC, in milliseconds
	RequestID    string    `json:"requestId,omitempty"`
	ConnectionID string    `json:"connectionId,omitempty"`
	Who          string    `json:"who,omitempty"` // see proto.HeaderCaller
	Method       string    `json:"method,omitempty"`
	URL          string    `json:"url,omitempty"` // values of the query hidden
	Decision     Decision  `json:"decision,omitempty"`
	Rule         string    `json:"rule,omitempty"`    // of the policy, that decided
	Status       int       `json:"status,omitempty"`  // of the application; 0: none came
	Code         string    `json:"code,omitempty"`    // what went wrong, else; see proto.Code
	Outcome      string    `json:"outcome,omitempty"` // with Code
	BytesUp      int64     `json:"bytesUp"`           // of the request's body
	BytesDown    int64     `json:"bytesDown"`         // of the answer's body
	DurationMs   float64   `json:"durationMs"`
	Missing      int       `json:"missing,omitempty"` // entries before this one that could not be written
}

// Options configure a Ledger.
type Options struct {
	Path   string
	Limits linefile.Limits
	Clock  func() time.Time // nil means time.Now
	// Noted is called with every entry; nil: nobody wants to know. It must not
	// block.
	Noted func(Entry)
}

// Ledger is safe for concurrent use. Close it, or the last entries are lost.
type Ledger struct {
	clock func() time.Time
	noted func(Entry)
	file  interface{ Close() error }
	lines *logging.Buffer
}

// Open makes a Ledger that goes on with the file.
func Open(o Options) (*Ledger, error) {
	if err := o.Limits.Check(); err != nil {
		return nil, err
	}
	file := linefile.Create(o.Path, o.Limits)
	l := &Ledger{clock: o.Clock, noted: o.Noted, file: file, lines: logging.BufferedLines(file, missingLine)}
	if l.clock == nil {
		l.clock = time.Now
	}
	return l, nil
}

// Close writes what is left, as far as the disk takes it in time.
func (l *Ledger) Close() error {
	if err := l.lines.Close(); err != nil {
		return err // closing the file would wait for the disk, too
	}
	return l.file.Close()
}

// Lost is how many entries could not be written.
func (l *Ledger) Lost() int64 { return l.lines.Lost() }

// Wrap is next with everything that it is asked written down.
func (l *Ledger) Wrap(next http.RoundTripper) http.RoundTripper { return &recorder{l, next} }

// Refused notes a request that was refused before it came to the transport.
func (l *Ledger) Refused(req *http.Request, err error) {
	t := l.begin(req)
	t.failed(err)
	t.end()
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.json = json.NewEncoder(&e.line)
	e.json.SetEscapeHTML(false) // "&" of a URL is to be read as it is
	return e
}}

type encoder struct {
	line bytes.Buffer
	json *json.Encoder
}

// write adds an entry.
func (l *Ledger) write(entry *Entry) {
	e := encoders.Get().(*encoder)
	e.line.Reset()
	if e.json.Encode(entry) == nil { // it has no value that can't be written
		_, _ = l.lines.Write(e.line.Bytes())
	}
	encoders.Put(e)
	if l.noted != nil {
		l.noted(*entry)
	}
}

func missingLine(n int, at time.Time) []byte {
	line, _ := json.Marshal(Entry{Time: stamp(at), Missing: n})
	return append(line, '\n')
}

// stamp is a time as entries have it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
