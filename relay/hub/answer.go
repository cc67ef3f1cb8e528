package hub

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"sallyport/proto"
)

// maxAgentError is how much of an error that the agent made is read, in bytes.
const maxAgentError = 64 << 10

// finish makes what the agent answered into what a road returns: the
// application's answer with a body that is still arriving, or the agent's own
// error.
func (x *exchange) finish(resp *http.Response, began time.Time) (*http.Response, *proto.Error) {
	total := time.Since(began)
	resp.Request = x.req
	timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	if err != nil {
		timing = proto.Timing{} // only numbers to show: no reason to fail
	}
	complete(&timing, total)
	code := proto.Code(resp.Header.Get(proto.HeaderError))
	proto.Strip(resp.Header)
	delete(resp.Header, "Connection") // about the stream
	if code != "" {
		return nil, x.agentError(resp, code, timing, total)
	}
	resp.Header.Set(proto.HeaderTiming, proto.FormatTiming(timing))
	resp.Body = &answerBody{x: x, inner: resp.Body}
	if resp.ContentLength == 0 || x.req.Method == http.MethodHead || bodiless(resp.StatusCode) {
		x.end(true)
		resp.Body = http.NoBody
	}
	return resp, nil
}

// complete fills in the share of the tunnel: all that the relay saw less what
// the agent measured.
func complete(timing *proto.Timing, total time.Duration) {
	timing.Tunnel = max(0, total-timing.DNS-timing.Connect-timing.TLS-timing.Wait)
}

// bodiless reports whether answers of the status have no body (RFC 9112,
// section 6.3).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// agentError is the error that the agent answered with.
func (x *exchange) agentError(resp *http.Response, code proto.Code, timing proto.Timing, total time.Duration) *proto.Error {
	body := io.Reader(resp.Body)
	if x.req.Method == http.MethodHead { // an agent's error has its body even so
		body = io.LimitReader(x.answer, resp.ContentLength)
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxAgentError))
	whole := err == nil && int64(len(raw)) == resp.ContentLength
	e := &proto.Error{}
	if json.Unmarshal(raw, e) != nil {
		e = &proto.Error{Detail: "The agent could not send the request on, and did not say why."}
	}
	e.Code = code
	if e.Outcome == "" {
		e.Outcome = proto.OutcomeUnknown
	}
	if e.Timing == nil {
		e.Timing = &timing
	}
	complete(e.Timing, total)
	x.end(whole)
	return e
}

// answerBody is the body of an application's answer, as it arrives. io.EOF
// means that it is complete; anything less is a *proto.Error.
type answerBody struct {
	x     *exchange
	inner io.Reader

	mu   sync.Mutex // held by whoever reads; guards the following
	done error      // what every later Read returns
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done != nil {
		return 0, b.done
	}
	n, err := b.inner.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		b.done = io.EOF
	} else {
		b.done = b.x.brokenOff(err)
	}
	b.x.end(err == io.EOF)
	return n, b.done
}

// Close may be called while a Read is under way, which it wakes.
func (b *answerBody) Close() error {
	if !b.mu.TryLock() {
		// Not the stream itself: the Read may just have found the end, and the
		// next request may be on the stream by now. end forgets the context.
		b.x.cancel()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if b.done == nil {
		b.done = http.ErrBodyReadAfterClose
		b.x.end(false)
	}
	return nil
}

// brokenOff explains an answer whose header came and whose body did not end.
func (x *exchange) brokenOff(err error) *proto.Error {
	switch {
	case x.ctx.Err() != nil:
		e := givenUp(context.Cause(x.ctx), x.t, proto.OutcomeSent)
		if e.Facts["stage"] != "" {
			e.Facts["stage"] = "body"
		}
		return e
	case x.stream.SessionEnded():
		return lost(x.t, proto.OutcomeSent, err)
	default:
		return &proto.Error{Code: proto.CodeTargetUnreachable, Outcome: proto.OutcomeSent, Err: err,
			Detail: "The application's answer broke off before its end."}
	}
}
