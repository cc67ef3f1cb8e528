package forward

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/internal/mux"
	"sallyport/proto"
)

const (
	// bufferSize is what an answer is written in: a full buffer is one write to
	// the stream, and exactly one frame of the tunnel, which others wait behind.
	bufferSize = mux.Chunk
	// chunkOverhead is the room that a chunk's frame takes: eight digits, and
	// CR LF before and after the data.
	chunkOverhead = 8 + 2 + 2
	// smallestRead is the least room worth reading a body into.
	smallestRead = 4 << 10
	// flushDelay is how long written bytes wait for more to go with them, while
	// the target sends nothing. Server-sent events do not wait.
	flushDelay = time.Millisecond
)

var answers = sync.Pool{New: func() any {
	a := &answer{buf: make([]byte, bufferSize)}
	a.timer = time.AfterFunc(time.Hour, a.flushLate)
	a.timer.Stop()
	return a
}}

// answer writes an HTTP/1.1 response to a stream. The body is read from the
// target straight into its buffer; what is in the buffer leaves when it is full,
// when the answer ends, or when the target pauses.
type answer struct {
	buf       []byte
	timer     *time.Timer
	bodyBytes int64
	chunked   bool
	told      bool // the relay knows that the request is being sent
	begun     bool // the final response's header is in the buffer
	head      int  // where in the buffer it begins
	// brief: a short body of known length is about to be read, which mostly came
	// with its header. Nobody is served by the header alone, so the first read
	// of it is not worth a timer, which can cost waking a processor.
	brief bool

	// mu guards the following: the timer flushes beside a read of the body.
	mu     sync.Mutex
	stream net.Conn
	sent   int // buf[:sent] has left
	filled int // buf[sent:filled] is to leave
	failed error
	armed  bool
}

func newAnswer(stream net.Conn) *answer {
	a := answers.Get().(*answer)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stream, a.sent, a.filled, a.failed, a.armed = stream, 0, 0, nil, false
	a.bodyBytes, a.chunked, a.told, a.begun = 0, false, false, false
	return a
}

func (a *answer) release() {
	a.timer.Stop()
	a.mu.Lock()
	a.stream, a.sent, a.filled = nil, 0, 0
	if cap(a.buf) > bufferSize {
		a.buf = make([]byte, bufferSize)
	}
	a.mu.Unlock()
	answers.Put(a)
}

// started tells the relay, once, that the request is about to be sent to the
// target.
func (a *answer) started() error {
	if a.told || a.begun {
		return nil
	}
	a.told = true
	a.add("HTTP/1.1 102 Processing\r\n" + proto.HeaderStarted + ": 1\r\n\r\n")
	return a.flush()
}

// add puts text into the buffer, which grows for a large header.
func (a *answer) add(parts ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range parts {
		if need := a.filled + len(s); need > len(a.buf) {
			grown := make([]byte, 2*need)
			copy(grown, a.buf[:a.filled])
			a.buf = grown
		}
		a.filled += copy(a.buf[a.filled:], s)
	}
}

// flush writes what is in the buffer to the stream.
func (a *answer) flush() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.flushLocked()
}

func (a *answer) flushLocked() error {
	if a.armed {
		a.timer.Stop()
		a.armed = false
	}
	if a.failed == nil && a.filled > a.sent {
		if _, err := a.stream.Write(a.buf[a.sent:a.filled]); err != nil {
			a.failed = fmt.Errorf("write the answer to the tunnel: %w", err)
		}
	}
	a.sent = a.filled
	return a.failed
}

// flushLate is the timer's: the target pauses. One that fires late finds
// nothing to do, or sends a little early; either does no harm.
func (a *answer) flushLate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.armed && a.stream != nil {
		_ = a.flushLocked() // kept in failed
	}
}

// send writes resp as the final response and streams its body. reusable:
// another request may follow on the stream. An error means
// that the relay sees an answer with no proper end.
func (a *answer) send(method string, resp *http.Response, reusable bool) error {
	a.header(method, resp, reusable)
	if !hasBody(method, resp.StatusCode) || resp.ContentLength == 0 {
		return a.flush()
	}
	// Events are worth their own write each; nobody waits for the second half of
	// a file.
	events := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	if events {
		if err := a.flush(); err != nil {
			return err
		}
	}
	for {
		n, err := a.fill(resp.Body)
		a.bodyBytes += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil && a.takeBack() {
			return err // nobody has seen a beginning: the failure itself can be told
		}
		if err != nil {
			_ = a.flush() // what came is passed on; the failure told is the target's
			return err
		}
		if events {
			if err := a.flush(); err != nil {
				return err
			}
		}
	}
	if resp.ContentLength > a.bodyBytes { // the transport should have said so
		_ = a.flush()
		return io.ErrUnexpectedEOF
	}
	if a.chunked {
		a.add("0\r\n")
		a.fieldsOf(resp.Trailer)
		a.add("\r\n")
	}
	return a.flush()
}

// takeBack removes the final response's header from the buffer, if no part of it
// has left and nothing of a body has come, and reports whether it has.
func (a *answer) takeBack() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bodyBytes > 0 || a.sent > a.head || a.filled <= a.head || a.failed != nil {
		return false
	}
	if a.armed {
		a.timer.Stop()
		a.armed = false
	}
	a.filled, a.begun, a.chunked = a.head, false, false
	return true
}

// fill reads once from the body into the buffer's free end.
func (a *answer) fill(body io.Reader) (int, error) {
	a.mu.Lock()
	if len(a.buf)-a.filled < smallestRead+chunkOverhead {
		if err := a.flushLocked(); err != nil {
			a.mu.Unlock()
			return 0, err
		}
	}
	if a.sent == a.filled {
		a.sent, a.filled = 0, 0
	} else if !a.armed && !a.brief {
		a.armed = true
		a.timer.Reset(flushDelay)
	}
	a.brief = false
	at, end := a.filled, len(a.buf)
	a.mu.Unlock()

	if a.chunked {
		at, end = at+10, end-2
	}
	n, err := body.Read(a.buf[at:end]) // beyond filled: the timer does not look there

	a.mu.Lock()
	defer a.mu.Unlock()
	if n > 0 {
		if a.chunked {
			frame(a.buf[at-10:at], n)
			copy(a.buf[at+n:], "\r\n")
			a.filled = at + n + 2
		} else {
			a.filled = at + n
		}
	}
	if err == nil {
		err = a.failed
	}
	return n, err
}

// frame writes a chunk's first line (RFC 9112, section 7.1) with a size of
// eight digits, leading zeros included, so that its length is known before.
func frame(p []byte, n int) {
	const digits = "0123456789abcdef"
	for i := 7; i >= 0; i-- {
		p[i] = digits[n&15]
		n >>= 4
	}
	p[8], p[9] = '\r', '\n'
}

func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// header puts the final response's header into the buffer.
func (a *answer) header(method string, resp *http.Response, reusable bool) {
	a.mu.Lock()
	a.begun, a.head = true, a.filled
	a.mu.Unlock()
	a.brief = resp.ContentLength >= 0 && resp.ContentLength <= smallestRead
	stripHopByHop(resp.Header)
	a.add("HTTP/1.1 ", strconv.Itoa(resp.StatusCode), " ", clean(reason(resp)), "\r\n")
	switch {
	case !hasBody(method, resp.StatusCode):
		// Its Content-Length, if any, is the one a GET would have; 204 has none.
		if resp.StatusCode == http.StatusNoContent {
			delete(resp.Header, "Content-Length")
		}
	case resp.ContentLength >= 0 && len(resp.Trailer) == 0:
		delete(resp.Header, "Content-Length")
		a.add("Content-Length: ", strconv.FormatInt(resp.ContentLength, 10), "\r\n")
	default:
		delete(resp.Header, "Content-Length")
		a.chunked = true
		a.add("Transfer-Encoding: chunked\r\n")
		for name := range resp.Trailer {
			a.add("Trailer: ", name, "\r\n")
		}
	}
	a.fieldsOf(resp.Header)
	if reusable {
		a.add(keepStream)
	}
	a.add("\r\n")
}

// keepStream tells the relay that another request may follow on the stream.
const keepStream = "Connection: " + proto.KeepStream + "\r\n"

func (a *answer) fieldsOf(h http.Header) {
	for name, values := range h {
		for _, v := range values {
			a.add(name, ": ", clean(v), "\r\n")
		}
	}
}

// reason is the status line's text as the target wrote it.
func reason(resp *http.Response) string {
	if _, text, ok := strings.Cut(resp.Status, " "); ok {
		return text
	}
	return http.StatusText(resp.StatusCode)
}

// clean keeps a value on its line.
func clean(v string) string {
	if strings.ContainsAny(v, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
	}
	return v
}

// sendError answers with an error made by the agent, unless an answer of the
// target has begun already: then all that can be told is that it broke off. It
// reports whether the answer went out whole. reusable: another request may
// follow on the stream.
func (a *answer) sendError(e *proto.Error, reusable bool) bool {
	if a.begun {
		return false
	}
	a.begun = true
	body, err := json.Marshal(e)
	if err != nil { // strings and numbers: it can't
		body = []byte(`{"code":"internal"}`)
	}
	status := e.Code.Status()
	a.add("HTTP/1.1 ", strconv.Itoa(status), " ", http.StatusText(status), "\r\n",
		proto.HeaderError, ": ", string(e.Code), "\r\nContent-Type: application/problem+json\r\nContent-Length: ", strconv.Itoa(len(body)), "\r\n")
	if e.Timing != nil {
		a.add(proto.HeaderTiming, ": ", proto.FormatTiming(*e.Timing), "\r\n")
	}
	if reusable {
		a.add(keepStream)
	}
	a.add("\r\n", string(body))
	return a.flush() == nil // otherwise nobody is left to tell
}
