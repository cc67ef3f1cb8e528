package hub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"sallyport/internal/mux"
	"sallyport/internal/outbound"
	"sallyport/proto"
)

// answerBuffer is the size of the buffer that an answer is parsed from; bodies
// mostly bypass it.
const answerBuffer = 4 << 10

// maxAnswerHeader is the longest header of an answer, informational ones
// included, in bytes.
const maxAnswerHeader = 1 << 20

// exchange is one request on one stream, from opening the stream to the end of
// the answer's body.
type exchange struct {
	t       *tunnel
	req     *http.Request
	ctx     context.Context // of the exchange: the caller's, with the request's own limit
	cancel  context.CancelFunc
	stop    func() bool // undoes "abort when ctx ends"
	stream  *mux.Stream
	answer  *bufio.Reader
	limit   *limited
	body    *upload
	started bool // the agent said that it has begun to send
	offered bool // the agent takes another request on the stream
	large   bool // the answer is not short, or of unknown length
	ended   sync.Once
}

// send sends the request down a stream and waits for the header of the
// answer. The tunnel has been taken; it is released when the answer has ended.
func (t *tunnel) send(ctx context.Context, req *http.Request, body *upload, began time.Time) (*http.Response, *proto.Error) {
	if e := t.unable(req); e != nil {
		t.release()
		return nil, e
	}
	stream, err := t.stream(ctx)
	if err != nil && ctx.Err() != nil {
		t.release()
		return nil, givenUp(context.Cause(ctx), t, proto.OutcomeNotSent)
	}
	if err != nil {
		t.release()
		return nil, lost(t, proto.OutcomeNotSent, err)
	}
	x := &exchange{t: t, req: req, stream: stream, body: body}
	x.ctx, x.cancel = deadline(ctx, req)
	x.stop = context.AfterFunc(x.ctx, stream.Abort)
	if err := x.write(); err != nil {
		return nil, x.fail(err)
	}
	x.limit = &limited{r: stream, left: maxAnswerHeader}
	x.answer = t.hub.readers.Get().(*bufio.Reader)
	x.answer.Reset(x.limit)
	resp, err := x.readAnswer()
	if err != nil {
		return nil, x.fail(err)
	}
	x.limit.left = -1
	return x.finish(resp, began)
}

// heads are what headers are written in, with the short bodies behind them.
var heads = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2<<10)) }}

// write sends the header, and the body with it where that is short and in
// memory. Any other body is sent by a goroutine while the answer may already
// arrive.
func (x *exchange) write() error {
	head := heads.Get().(*bytes.Buffer)
	defer heads.Put(head)
	head.Reset()
	if err := x.body.header(head, x.req); err != nil {
		return &unsendable{err}
	}
	if x.body.inline() {
		if err := x.body.inlineInto(head); err != nil {
			return &unsendable{err}
		}
		_, err := x.stream.WriteContext(x.ctx, head.Bytes())
		x.body.sent.Store(err == nil)
		return err
	}
	if _, err := x.stream.WriteContext(x.ctx, head.Bytes()); err != nil {
		return err
	}
	x.body.touched = true
	// It belongs to the caller's body: it ends when the stream does, or when a
	// Read of that body that is under way then returns. Nobody waits for it,
	// since whoever feeds the body may be waiting for the answer's end.
	go x.upload(x.body)
	return nil
}

func (x *exchange) upload(body *upload) {
	buffer := x.t.hub.chunks.Get().(*chunk)
	defer x.t.hub.chunks.Put(buffer)
	err := body.stream(x.stream, buffer)
	body.sent.Store(err == nil)
	if err != nil && body.failure() != nil {
		// The agent must not take what it has for the whole: the stream ends
		// where the body is not complete.
		x.stream.Abort()
	}
}

// readAnswer reads the header of the answer, past informational ones.
func (x *exchange) readAnswer() (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(x.answer, x.req)
		if err != nil {
			return nil, err
		}
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("it switches protocols")
		case resp.StatusCode < 200:
			if resp.Header.Get(proto.HeaderStarted) == "" {
				x.inform(resp)
			}
			x.started = true // said by the agent, or by the target itself
		case resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Body != http.NoBody:
			// Nothing would tell its end from a tunnel that broke.
			return nil, errors.New("it has no length")
		default:
			x.offered = resp.Header.Get("Connection") == proto.KeepStream
			x.large = resp.ContentLength < 0 || resp.ContentLength > shrinkFrom
			return resp, nil
		}
	}
}

// inform passes an informational response of the target on, where somebody wants
// to be told.
func (x *exchange) inform(resp *http.Response) {
	if informer := outbound.InformerOf(x.req.Context()); informer != nil {
		proto.Strip(resp.Header)
		informer.Inform(resp.StatusCode, resp.Header)
	}
}

// shrinkFrom is the length of an answer, in bytes, from which a stream's buffer
// is not kept with the stream.
const shrinkFrom = 16 << 10

// unsendable is a fault of the request itself.
type unsendable struct{ error }

func (u *unsendable) Unwrap() error { return u.error }

// fail ends the exchange before there was an answer, and says why in a way
// that tells whether the request may have been sent.
func (x *exchange) fail(err error) *proto.Error {
	outcome := x.outcome(err)
	e := x.explain(err, outcome)
	x.end(false)
	return e
}

func (x *exchange) explain(err error, outcome proto.Outcome) *proto.Error {
	var request *unsendable
	switch {
	case x.ctx.Err() != nil:
		return givenUp(context.Cause(x.ctx), x.t, outcome)
	case x.body.failure() != nil:
		return &proto.Error{Code: proto.CodeCanceled, Outcome: outcome, Err: x.body.failure(),
			Detail: "The request's body broke off before its end."}
	case errors.As(err, &request):
		return &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeNotSent, Err: err,
			Detail: "The request can't be written: " + err.Error() + "."}
	case x.stream.SessionEnded(), x.refused(err), ended(err):
		return lost(x.t, outcome, err)
	default:
		return &proto.Error{Code: proto.CodeInternal, Outcome: outcome, Err: err,
			Detail: "The agent's answer can't be understood: " + err.Error() + ".", Hint: "Update the agent."}
	}
}

// ended reports that the stream came to its end where more was expected.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused reports that the agent reset the stream: it does so only to those
// that it has not accepted.
func (x *exchange) refused(err error) bool { return errors.Is(err, yamux.ErrConnectionReset) }

// outcome tells how far a request got that was not answered.
//
// That the agent's "started" has not come proves nothing where the tunnel is
// gone: it may have been on its way. It proves that nothing was sent where the
// agent ended the stream in order, since what it wrote before would have
// arrived. (For idempotent methods it does not say when it starts.)
func (x *exchange) outcome(err error) proto.Outcome {
	var request *unsendable
	switch {
	case x.started:
		return proto.OutcomeUnknown
	case x.refused(err), errors.As(err, &request):
		return proto.OutcomeNotSent
	case x.ctx.Err() != nil, x.body.failure() != nil:
		// This end has given up. What the agent then writes may fail, its
		// "started" included.
		return proto.OutcomeUnknown
	case ended(err) && !x.stream.SessionEnded() && !proto.Idempotent(x.req.Method):
		return proto.OutcomeNotSent
	}
	return proto.OutcomeUnknown
}

// end gives the stream and the tunnel back. whole: the answer was read to its
// end. It is called once nobody reads the answer any more.
func (x *exchange) end(whole bool) {
	x.ended.Do(func() {
		undisturbed := x.stop()
		x.cancel()
		switch {
		case whole && undisturbed && x.reusable() && x.keep():
		case whole && x.body.body == nil:
			_ = x.stream.Close()
		default:
			x.stream.Abort() // also wakes an upload that nobody needs any more
		}
		if x.answer != nil {
			x.answer.Reset(nil)
			x.t.hub.readers.Put(x.answer)
		}
		x.t.release()
	})
}

// reusable reports whether the next request can follow on the stream: both ends
// have sent all that belongs to this one, and nothing else.
func (x *exchange) reusable() bool {
	return x.offered && x.body.sent.Load() && x.answer.Buffered() == 0
}

func (x *exchange) keep() bool {
	if x.stream.Costly() {
		return false
	}
	if x.large {
		x.stream.Shrink()
	}
	return x.t.kept.put(x.stream, x.t.hub.opts.Clock())
}

// errAnswerHeader: the agent's answer begins with more than maxAnswerHeader.
var errAnswerHeader = errors.New("its header is too long")

// limited bounds what is read until left is set to -1.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return l.r.Read(p)
	}
	if l.left == 0 {
		return 0, errAnswerHeader
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
