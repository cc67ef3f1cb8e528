package ledger

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/proto"
)

// recorder is the http.RoundTripper that writes down what it is asked.
type recorder struct {
	ledger *Ledger
	next   http.RoundTripper
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	t := r.ledger.begin(req)
	out := req.WithContext(context.WithValue(req.Context(), tripKey{}, t))
	t.countBody(out)
	resp, err := r.next.RoundTrip(out)
	if err != nil {
		t.failed(err)
		t.end()
		return nil, err
	}
	t.mu.Lock()
	t.entry.Status = resp.StatusCode
	t.mu.Unlock()
	if resp.Body == nil || resp.Body == http.NoBody {
		t.end()
		return resp, nil
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, trip: t}
	return resp, nil
}

// trip is one request on its way.
type trip struct {
	ledger *Ledger
	start  time.Time
	up     atomic.Int64
	down   int64
	ended  bool

	mu    sync.Mutex // guards entry: the policy may decide while others read
	entry Entry
}

type tripKey struct{}

// NoteRule notes which rule of the policy allowed the request of the context.
func NoteRule(ctx context.Context, rule string) {
	if t, ok := ctx.Value(tripKey{}).(*trip); ok {
		t.mu.Lock()
		t.entry.Rule = rule
		t.mu.Unlock()
	}
}

func (l *Ledger) begin(req *http.Request) *trip {
	now := l.clock()
	return &trip{ledger: l, start: now, entry: Entry{
		Time: stamp(now), Decision: Allowed, Method: req.Method, URL: proto.ShowMarks(hideValues(req.URL), req.Header[proto.HeaderFill]),
		RequestID: option(req, proto.HeaderRequestID), ConnectionID: option(req, proto.HeaderConnection), Who: option(req, proto.HeaderCaller),
	}}
}

// option is an option of the request, of no more length than an honest relay
// gives it.
func option(req *http.Request, name string) string {
	value := req.Header.Get(name)
	return value[:min(len(value), proto.MaxCaller)]
}

// countBody counts what is sent of the body. It is sent anew where a connection
// proved dead before: what counts is the last time.
func (t *trip) countBody(req *http.Request) {
	if req.Body == nil || req.Body == http.NoBody {
		return
	}
	req.Body = &requestBody{req.Body, t}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			t.up.Store(0)
			return &requestBody{body, t}, nil
		}
	}
}

type requestBody struct {
	io.ReadCloser
	trip *trip
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.trip.up.Add(int64(n))
	return n, err
}

// failed notes what went wrong.
func (t *trip) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := proto.AsError(err)
	if e == nil {
		t.entry.Code = string(proto.CodeInternal)
		return
	}
	t.entry.Code, t.entry.Outcome = string(e.Code), string(e.Outcome)
	switch {
	case e.Code == proto.CodeAgentPaused:
		t.entry.Decision = Paused
	case e.Code == proto.CodePolicyDenied, e.Reason == proto.ReasonRuleRate, e.Reason == proto.ReasonRuleBody:
		t.entry.Decision, t.entry.Rule = Denied, e.Facts["rule"]
	}
}

// end writes the entry.
func (t *trip) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.BytesUp, t.entry.BytesDown = t.up.Load(), t.down
	t.entry.DurationMs = float64(t.ledger.clock().Sub(t.start).Microseconds()) / 1000
	t.ledger.write(&t.entry)
}

// answerBody ends the entry when the answer's body ends. One goroutine reads
// and closes it.
type answerBody struct {
	io.ReadCloser
	trip *trip
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	t := b.trip
	t.down += int64(n)
	if err != nil && err != io.EOF && !t.ended {
		t.failed(err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	if t := b.trip; !t.ended {
		t.ended = true
		t.end()
	}
	return err
}
