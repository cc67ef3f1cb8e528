package forward

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/internal/bytesize"
	"sallyport/internal/logging"
	"sallyport/proto"
)

const (
	// readBuffer holds a usual request whole, header and small body.
	readBuffer = 4 << 10
	// headerLimit is the most that a request's header may measure.
	headerLimit = 64 << 10
	// headerTimeout is how long a stream may stay open with no whole header. A
	// relay writes it in one go; but on a slow line that may come a while after
	// the stream, behind the bodies of others (see package mux).
	headerTimeout = 15 * time.Minute
)

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}

	past = time.Unix(1, 0) // a deadline that makes whoever waits return at once

	errHeaderTooLarge = errors.New("request header is larger than 64 KiB")
	errBodyTooLarge   = errors.New("request body is longer than the agent's configuration allows")
)

// call is one request being served.
type call struct {
	*Forwarder
	stream  net.Conn
	out     *answer
	req     *http.Request
	refused error        // why it can't be served; req may be nil then
	limit   int64        // of the body, in bytes; 0: none
	body    *requestBody // nil: none, or it was there whole
	last    bool         // the relay asked for no other request to follow, or none can
	keep    bool         // another may follow, and the relay knows; the performer's own
	start   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	told    informing // the context that the request is performed with
}

// readCall reads a request's header, and makes its body ready to be streamed.
// A request that can't be served is returned all the same, to be refused; nil,
// where the stream has ended.
func (v *conversation) readCall() (*call, error) {
	c := &call{Forwarder: v.Forwarder, stream: v.stream, last: true}
	v.input.header()
	req, err := http.ReadRequest(v.in)
	c.start, c.limit = v.clock(), v.maxBody.Load()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the relay gave up: nobody reads an answer
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(v.ctx)
	if err != nil {
		c.refused = err
		return c, nil
	}
	if c.refused = v.input.body(); c.refused != nil {
		return c, nil
	}
	if (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
		c.refused = errors.New("the request names no target: it is not in absolute form")
		return c, nil
	}
	c.last = req.Close
	req.RequestURI = ""
	req.Close = false // about the stream, not about the connection to the target
	stripHopByHop(req.Header)
	c.req = req
	if c.limit > 0 && req.ContentLength > c.limit {
		c.refused, c.last = errBodyTooLarge, true
		return c, nil
	}
	c.takeBody(v.in)
	return c, nil
}

// takeBody prepares the request's body. One that has come whole together with
// the header is taken out of the stream, so that it can be sent again should a
// kept-alive connection to the target prove dead before a byte of it was sent.
// Any other is streamed, and the target may leave some of it unread.
func (c *call) takeBody(in *bufio.Reader) {
	req := c.req
	n := req.ContentLength
	switch {
	case n == 0 || req.Body == http.NoBody:
		req.Body = http.NoBody
	case n > 0 && int64(in.Buffered()) >= n:
		whole := make([]byte, n)
		_, _ = io.ReadFull(in, whole) // from the buffer: it can't fail
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil }
		req.Body = io.NopCloser(bytes.NewReader(whole))
	default:
		c.body = &requestBody{from: req.Body, over: make(chan struct{}), left: -1}
		if c.limit > 0 {
			c.body.left = c.limit
		}
		req.Body = c.body
	}
}

// reusable reports whether another request may follow on the stream. Nothing
// can follow a body of which some was left.
func (c *call) reusable() bool {
	return !c.last && (c.body == nil || c.body.whole())
}

// serve answers the call, in any event.
func (c *call) serve() {
	c.out = newAnswer(c.stream)
	defer c.end()
	defer c.contain()
	if c.refused != nil {
		c.refuse(c.refused)
		return
	}
	c.perform()
}

// end gives back what the call used.
func (c *call) end() {
	c.cancel()
	if c.body != nil {
		_ = c.body.Close()
	}
	c.out.release()
}

// contain turns a panic into an answer, so that one request cannot take the
// others down. The value is not logged where it may quote the request.
func (c *call) contain() {
	v := recover()
	if v == nil {
		return
	}
	c.log.Error("request panicked", append(c.fields(), zap.String("panic", panicText(v)), zap.ByteString("stack", debug.Stack()))...)
	c.out.sendError(&proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeUnknown, Detail: "The agent met a fault of its own while it served the request.", Hint: "Look for the request's id in the agent's log, and report what you find."}, false)
}

func panicText(v any) string {
	if e, ok := v.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", v)
}

func (c *call) perform() {
	c.told.Context, c.told.call = c.ctx, c
	var ctx context.Context = &c.told
	if !proto.Idempotent(c.req.Method) {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
			if err := c.out.started(); err != nil {
				c.cancel()
			}
		}})
	}
	resp, err := c.transport.RoundTrip(c.req.WithContext(ctx))
	c.told.end()
	if err != nil {
		c.fail(c.bodyError(asError(err)))
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // 101: the upgrade was not asked for
		c.fail(&proto.Error{Code: proto.CodeTargetUnreachable, Reason: proto.ReasonNotHTTP, Outcome: proto.OutcomeSent,
			Detail: fmt.Sprintf("%s switched to another protocol, which it was not asked for.", c.req.URL.Host)})
		return
	}
	offered := c.reusable()
	err = c.out.send(c.req.Method, resp, offered)
	if err != nil && !c.out.begun {
		c.fail(asError(err))
		return
	}
	if err != nil {
		c.log.Warn("answer broke off", append(c.fields(), zap.Int("status", resp.StatusCode), zap.String("error", err.Error()))...)
		return
	}
	c.keep = offered
	if ce := c.log.Check(zap.InfoLevel, "request served"); ce != nil {
		ce.Write(append(c.fields(), zap.Int("status", resp.StatusCode))...)
	}
}

// refuse answers a request that could not be read.
func (c *call) refuse(err error) {
	e := &proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err, Detail: fmt.Sprintf("The agent could not read the request: %v.", err)}
	if errors.Is(err, errHeaderTooLarge) {
		e.Code, e.Detail = proto.CodeTooLarge, "The request's header is larger than the 64 KiB that an agent takes."
		e.Hint = "Send fewer or shorter header fields."
	}
	if errors.Is(err, errBodyTooLarge) {
		e = c.tooLarge(proto.OutcomeNotSent)
	}
	if c.req != nil && c.Forwarder.refused != nil {
		c.Forwarder.refused(c.req, e)
	}
	c.fail(e)
}

// bodyError is e, or what it comes from where the body turned out too long when
// some of it had been sent already.
func (c *call) bodyError(e *proto.Error) *proto.Error {
	if c.body == nil || !c.body.tooLarge() {
		return e
	}
	large := c.tooLarge(e.Outcome)
	large.Timing = e.Timing
	return large
}

func (c *call) tooLarge(outcome proto.Outcome) *proto.Error {
	return &proto.Error{Code: proto.CodeTooLarge, Outcome: outcome, Err: errBodyTooLarge,
		Detail: fmt.Sprintf("The request's body is longer than the %s that the site's agent sends on.", bytesize.Words(c.limit)),
		Hint:   "Send less at once, or ask the site's admin to raise maxRequestBody in agent.yaml.",
		Facts:  map[string]string{"limit": strconv.FormatInt(c.limit, 10)}}
}

// fail answers with an error made here, if nothing was answered yet.
func (c *call) fail(e *proto.Error) {
	level := zap.WarnLevel
	if e.Code == proto.CodeCanceled { // the caller went away: nothing to look into
		level = zap.InfoLevel
	}
	if ce := c.log.Check(level, "request failed"); ce != nil {
		fields := append(c.fields(), zap.String("code", string(e.Code)), zap.String("outcome", string(e.Outcome)))
		if e.Reason != "" {
			fields = append(fields, zap.String("reason", string(e.Reason)))
		}
		for _, fact := range []string{"address", "stage", "secret"} { // never the sentence: it may quote the answer
			if e.Facts[fact] != "" {
				fields = append(fields, zap.String(fact, e.Facts[fact]))
			}
		}
		ce.Write(fields...)
	}
	offered := c.reusable()
	c.keep = c.out.sendError(e, offered) && offered
}

// fields are what every line about the request says: never a query, a header
// field or a body.
func (c *call) fields() []zap.Field {
	fields := make([]zap.Field, 0, 12)
	if c.req != nil {
		fields = append(fields, logging.RequestID(c.req.Header.Get(proto.HeaderRequestID)), logging.Connection(c.req.Header.Get(proto.HeaderConnection)),
			zap.String("method", c.req.Method), zap.String("host", c.req.URL.Host), zap.String("path", proto.ShowMarks(c.req.URL.EscapedPath(), c.req.Header[proto.HeaderFill])))
	}
	return append(fields, zap.Int64("bytes", c.out.bodyBytes), zap.Duration("duration", c.clock().Sub(c.start)))
}

// asError is err as a *proto.Error; the transport's own errors are.
func asError(err error) *proto.Error {
	if e := proto.AsError(err); e != nil {
		return e
	}
	return &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeUnknown, Detail: "The agent could not perform the request.", Err: err}
}
