// Package outbound performs one HTTP request against a target, at the end of
// either road: the relay uses it in cloud mode, the agent for what came down a
// tunnel.
//
// It takes its options from the Sallyport- fields of the request (package
// proto), sends everything else as it is, and gives back the answer as it is,
// with the timings in proto.HeaderTiming. Every failure, that of a body half
// read included, is a *proto.Error which says what happened, at which stage, to
// which address, and whether the target may have seen the request.
//
// It never follows a redirect, never decompresses, never adds a header field of
// its own accord (Host and those that frame the body aside), and never sends a
// request twice that is not idempotent once a byte of it has left.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// Limits of a connection to a target. They bound one stage each; what follows
// is bounded by proto.HeaderTimeouts and proto.HeaderTimeout alone, so that long
// polls and event streams live. A peer that is gone is noticed by the
// keep-alive of TCP, in 2 to 3 minutes.
const (
	dialTimeout     = 10 * time.Second // one TCP connect, all addresses of the name together
	tlsTimeout      = 10 * time.Second
	patientTimeout  = 2 * time.Minute // either, where a request allows more than dialTimeout
	continueTimeout = time.Second     // then a body goes out though no 100 (Continue) came
	idleTimeout     = 90 * time.Second
	// idlePerHost is high since most relays and agents talk to few hosts with
	// many requests at once; a connection beyond it would be dialled anew each
	// time.
	idlePerHost    = 256
	maxHeaderBytes = 256 << 10
)

// Options configure a Transport. The zero value reaches everything, trusts the
// system's certificate authorities, and uses no proxy.
type Options struct {
	// Guard refuses addresses that are not public: private, loopback,
	// link-local, and the like. It looks at the address being connected to,
	// after the name was resolved, so no name and no redirect gets round it.
	Guard bool
	// AllowPrivate are exceptions from the guard; see ParseAllow.
	AllowPrivate []netip.Prefix
	// RootCAs are the authorities to trust; nil means the system's.
	RootCAs *x509.CertPool
	// Proxy chooses a proxy for a request; nil means none. With Guard it is
	// not used, since the proxy would resolve the name where no guard sees it.
	Proxy func(*http.Request) (*url.URL, error)
	// HostTLS says how TLS differs for some hosts; nil: for none. It must give the
	// same answer each time, pointers included.
	HostTLS func(host, port string) HostTLS
	// TrustCommand is what pins the certificate of a host, whose URL follows it:
	// the remedy for one that can't be verified. "": there is no such command.
	TrustCommand string
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
	// Clock is the time by which certificates are judged; nil means time.Now.
	Clock func() time.Time
	Log   *zap.Logger // nil means none
}

// Transport is an http.RoundTripper that performs requests against targets. It
// is safe for concurrent use.
type Transport struct {
	kept    pools
	closed  atomic.Bool
	log     *zap.Logger
	clock   func() time.Time
	hostTLS func(host, port string) HostTLS
	trust   string // Options.TrustCommand
}

// New makes a Transport. Close it to drop the connections that it keeps alive.
func New(o Options) *Transport {
	t := &Transport{log: o.Log, clock: o.Clock, hostTLS: o.HostTLS, trust: o.TrustCommand}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	if t.clock == nil {
		t.clock = time.Now
	}
	var g *guard
	proxy := o.Proxy
	if o.Guard {
		g = &guard{allow: o.AllowPrivate}
		proxy = nil
	}
	secure := &tls.Config{RootCAs: o.RootCAs, Time: t.clock, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(0), GetClientCertificate: noCertificate}
	t.kept.build = func(special HostTLS, patient bool) *http.Transport {
		dial, shake := dialTimeout, tlsTimeout
		if patient {
			dial, shake = patientTimeout, patientTimeout
		}
		dialer := &net.Dialer{Timeout: dial, Resolver: o.Resolver, ControlContext: g.control}
		return &http.Transport{
			Proxy:                  proxy,
			OnProxyConnectResponse: checkProxyAnswer,
			DialContext:            meteredDial(dialer),
			TLSClientConfig:        special.apply(secure),
			TLSHandshakeTimeout:    shake,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           4 * idlePerHost,
			MaxIdleConnsPerHost:    idlePerHost,
			IdleConnTimeout:        idleTimeout,
			ExpectContinueTimeout:  continueTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		}
	}
	return t
}

// Close drops the connections that wait for a next request. Those in use end
// with their request. One that comes later all the same is performed.
func (t *Transport) Close() {
	t.closed.Store(true)
	t.kept.closeIdle()
}

// RoundTrip performs req. Its error, and that of reading the answer's body, is
// a *proto.Error.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	timeout, limits, err := requestTimeouts(req.Header)
	if err != nil {
		closeBody(req)
		return nil, &proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Detail: err.Error(), Err: err}
	}
	ctx, cancel := req.Context(), context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	}
	x := &exchange{transport: t, ctx: ctx, cancel: cancel, target: req.URL, informer: InformerOf(ctx), showsCertificate: req.Header[proto.HeaderCertificate] != nil}
	if limits != (proto.Timeouts{}) {
		var cut context.CancelFunc
		x.ctx, cut = context.WithCancel(ctx)
		x.cancel = func() { cut(); cancel() }
		x.pace = newPace(x.ctx, limits, cut)
	}
	resp, err := t.kept.of(ctx, t.special(req.URL), limits.Connect > dialTimeout).RoundTrip(x.outgoing(req))
	if err != nil {
		failed := x.fail(err)
		x.over()
		return nil, failed
	}
	x.answer(resp)
	resp.Request = req
	t.logDial(x)
	return resp, nil
}

// over gives back what the exchange used. By now its connection waits for the
// next request, which does not come where the transport was closed meanwhile.
func (x *exchange) over() {
	x.pace.stop()
	x.cancel()
	if x.transport.closed.Load() {
		x.transport.kept.closeIdle()
	}
}

// requestTimeouts reads proto.HeaderTimeout and proto.HeaderTimeouts; 0 means
// none.
func requestTimeouts(h http.Header) (total time.Duration, stages proto.Timeouts, err error) {
	if value := h.Get(proto.HeaderTimeout); value != "" {
		ms, err := strconv.ParseInt(value, 10, 64)
		if err != nil || ms < 0 || ms > int64(24*time.Hour/time.Millisecond) {
			return 0, stages, fmt.Errorf("%s: %q is not a number of milliseconds up to a day", proto.HeaderTimeout, value)
		}
		total = time.Duration(ms) * time.Millisecond
	}
	stages, err = proto.ParseTimeouts(h.Get(proto.HeaderTimeouts))
	return total, stages, err
}

// outgoing is req as it goes to the target: without what only relay and agent
// say to each other, and watched by x.
func (x *exchange) outgoing(req *http.Request) *http.Request {
	ctx := x.ctx
	if req.URL.Scheme == "https" {
		ctx = context.WithValue(ctx, exchangeKey{}, x) // for noCertificate
	}
	out := req.WithContext(httptrace.WithClientTrace(ctx, x.hooks()))
	out.Header = make(http.Header, len(req.Header)+1)
	for name, values := range req.Header {
		out.Header[name] = values
	}
	proto.Strip(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or net/http would add its own
	}
	if out.Body != nil && out.Body != http.NoBody {
		x.upload = &upload{ReadCloser: req.Body, pace: x.pace}
		out.Body = x.upload
	}
	if !proto.Idempotent(out.Method) {
		forbidReplay(out)
	}
	return out
}

// forbidReplay keeps net/http from sending the request a second time on a new
// connection because of an Idempotency-Key: whether the target honours that key
// is for the caller to know.
func forbidReplay(out *http.Request) {
	_, key := out.Header["Idempotency-Key"]
	_, xkey := out.Header["X-Idempotency-Key"]
	if !key && !xkey {
		return
	}
	out.GetBody = nil
	if out.Body == nil || out.Body == http.NoBody {
		out.Body = &upload{ReadCloser: io.NopCloser(emptyReader{})}
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, io.EOF }

// answer makes resp ready for the caller.
func (x *exchange) answer(resp *http.Response) {
	proto.Strip(resp.Header)
	proto.Strip(resp.Trailer)
	timing := x.timing()
	if x.showsCertificate && resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		timing.Certificate = proto.CertificateOf(resp.TLS.PeerCertificates[0])
	}
	resp.Header[proto.HeaderTiming] = []string{proto.FormatTiming(timing)}
	x.pace.rest()
	if resp.Body == http.NoBody && len(resp.Trailer) == 0 {
		x.over()
		return
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, exchange: x, resp: resp}
}

// logDial records a new connection to a target; a reused one is not worth a
// line.
func (t *Transport) logDial(x *exchange) {
	if ce := t.log.Check(zap.DebugLevel, "target connected"); ce != nil {
		if timing := x.timing(); !timing.Reused {
			ce.Write(zap.String("host", x.target.Host), zap.String("address", timing.Address),
				zap.Duration("dns_ms", timing.DNS), zap.Duration("connect_ms", timing.Connect), zap.Duration("tls_ms", timing.TLS))
		}
	}
}

// checkProxyAnswer turns a proxy's refusal to CONNECT into a typed error.
func checkProxyAnswer(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := &proto.Error{
		Code: proto.CodeTargetUnreachable, Reason: proto.ReasonProxyRefused, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The proxy %s answered %q when asked to connect to %s.", proxy.Host, resp.Status, req.URL.Host),
		Hint:   "Check that the proxy allows this host and port, or configure that the target is reached without it.",
		Facts:  map[string]string{"proxy": proxy.Host, "status": strconv.Itoa(resp.StatusCode)},
		Err:    errors.New("proxy refused CONNECT"),
	}
	if resp.StatusCode == http.StatusProxyAuthRequired {
		e.Hint = "The proxy wants a user name and password: configure them with the proxy's URL."
	}
	return e
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing of it was used, so nothing is lost
	}
}
