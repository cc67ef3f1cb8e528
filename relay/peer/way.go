package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"sallyport/proto"
	"sallyport/relay/hub"
)

// limitGrace is how much longer than the request's own limit it is waited for the
// other relay, which waits for the agent in turn and says more about it.
const limitGrace = 7 * time.Second

// way is a place on a link that was taken for one request.
type way struct {
	link    *link
	conn    *http.ClientConn
	agentID string
	counter int64 // by which the store says that the relay holds the agent
}

var _ hub.Way = (*way)(nil)

// Relay implements hub.Way.
func (w *way) Relay() string { return w.link.relay.ID }

// Release implements hub.Way.
func (w *way) Release() {
	w.conn.Release()
	w.link.release(w.agentID)
}

// exchange is one request sent on, to the end of its answer's body.
type exchange struct {
	*way
	req    *http.Request
	ctx    context.Context // the caller's, with the request's own limit
	cancel context.CancelFunc
	body   *watchedBody // nil: none
	left   atomic.Bool  // the header of the request is being written, or was
	told   informs
	ended  sync.Once
}

// Send implements hub.Way.
func (w *way) Send(req *http.Request, began time.Time) (*http.Response, *proto.Error) {
	x := &exchange{way: w, req: req}
	x.ctx, x.cancel = limit(req)
	out, err := x.outgoing()
	if err != nil {
		w.conn.Release()
		return nil, x.fail(&proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err, Detail: "The request can't be sent: " + err.Error() + "."})
	}
	resp, err := w.conn.RoundTrip(out)
	x.told.wait()
	if err != nil {
		return nil, x.fail(x.explain(err))
	}
	answer, e := x.finish(resp, began)
	if e != nil {
		_ = resp.Body.Close() // it has none that matters
		return nil, x.fail(e)
	}
	x.link.peers.metrics.sent("ok")
	if ce := x.link.peers.log.Check(zap.DebugLevel, "request sent by way of another relay"); ce != nil {
		ce.Write(zap.String("relay", x.link.relay.ID), zap.String("agent", x.agentID), zap.String("request_id", req.Header.Get(proto.HeaderRequestID)),
			zap.Int("status", answer.StatusCode), zap.Duration("duration", time.Since(began)))
	}
	return answer, nil
}

// limit is the request's context with the limit that its options name.
func limit(req *http.Request) (context.Context, context.CancelFunc) {
	ms, err := strconv.ParseInt(req.Header.Get(proto.HeaderTimeout), 10, 64)
	if err != nil || ms <= 0 || ms > int64(24*time.Hour/time.Millisecond) {
		return context.WithCancel(req.Context())
	}
	return context.WithTimeout(req.Context(), time.Duration(ms)*time.Millisecond+limitGrace)
}

// outgoing is the request for the other relay.
func (x *exchange) outgoing() (*http.Request, error) {
	req := x.req
	h := make(http.Header, len(req.Header)+6)
	for name, values := range req.Header {
		if hopByHop[name] || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		clean, err := sendable(name, values)
		if err != nil {
			return nil, err
		}
		h[name] = clean
	}
	if lines := h["Cookie"]; lines != nil {
		h[headerCookie] = lines
		delete(h, "Cookie")
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = nil // or net/http would add its own
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	target := req.URL.Scheme + "://" + req.URL.Host + req.URL.RequestURI()
	for name, value := range map[string]string{headerAgent: x.agentID, headerMethod: method, headerTarget: target, headerHost: host} {
		if !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("its method, URL or host holds a control character")
		}
		h[name] = []string{value}
	}
	if size(h) > maxHeader-headSize {
		return nil, errors.New("its header is too long to be sent on to another relay")
	}
	out := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: x.link.relay.Address, Path: pathRequest},
		Header: h, ContentLength: req.ContentLength, Trailer: req.Trailer,
	}
	if req.Body != nil && req.Body != http.NoBody {
		x.body = &watchedBody{of: req.Body}
		out.Body = x.body
		h["Expect"] = []string{"100-continue"} // see link.http
	}
	return out.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		WroteHeaders:   func() { x.left.Store(true) },
		Got1xxResponse: x.informed,
	})), nil
}

// sendable are the values of a field as HTTP/2 can carry them. What HTTP/1 makes
// of line breaks is made of them here, too.
func sendable(name string, values []string) ([]string, error) {
	clean := values
	for i, v := range values {
		if httpguts.ValidHeaderFieldValue(v) {
			continue
		}
		if &clean[0] == &values[0] {
			clean = append([]string(nil), values...)
		}
		clean[i] = textproto.TrimString(strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
		if !httpguts.ValidHeaderFieldValue(clean[i]) {
			return nil, fmt.Errorf("its header field %s holds a control character", name)
		}
	}
	return clean, nil
}

// finish makes what the other relay answered into what a road returns.
func (x *exchange) finish(resp *http.Response, began time.Time) (*http.Response, *proto.Error) {
	if said := resp.Header.Get(headerFailure); said != "" {
		return nil, x.said(said, began)
	}
	status, err := strconv.Atoi(resp.Header.Get(headerStatus))
	if err != nil || status < 200 || status > 999 {
		return nil, x.unexpected(resp.StatusCode)
	}
	timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	if err != nil {
		timing = proto.Timing{} // only numbers to show: no reason to fail
	}
	complete(&timing, time.Since(began))
	proto.Strip(resp.Header)
	resp.Header[proto.HeaderTiming] = []string{proto.FormatTiming(timing)}
	resp.StatusCode, resp.Status = status, strconv.Itoa(status)+" "+http.StatusText(status)
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.Request, resp.TLS = x.req, nil
	if resp.ContentLength == 0 || x.req.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		_ = resp.Body.Close()
		resp.Body = http.NoBody
		x.end()
		return resp, nil
	}
	resp.Body = &answerBody{x: x, inner: resp.Body, resp: resp}
	return resp, nil
}

// complete makes the share of the tunnel all that this relay saw less what was
// measured beyond: the way by the other relay is part of it.
func complete(timing *proto.Timing, total time.Duration) {
	timing.Tunnel = max(0, total-timing.DNS-timing.Connect-timing.TLS-timing.Wait-timing.Held)
}

// fail ends an exchange that was not answered.
func (x *exchange) fail(e *proto.Error) *proto.Error {
	x.end()
	x.link.peers.metrics.sent(code(e))
	if ce := x.link.peers.log.Check(zap.DebugLevel, "request not answered by way of another relay"); ce != nil {
		ce.Write(zap.String("relay", x.link.relay.ID), zap.String("agent", x.agentID), zap.String("request_id", x.req.Header.Get(proto.HeaderRequestID)),
			zap.String("code", code(e)), zap.String("outcome", string(e.Outcome)), zap.NamedError("cause", e.Err))
	}
	return e
}

// end gives the place back.
func (x *exchange) end() {
	x.ended.Do(func() {
		x.cancel()
		x.link.release(x.agentID)
	})
}
