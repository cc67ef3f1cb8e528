package outbound

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/rawio"
	"sallyport/proto"
)

// stage is how far an exchange got; it is what a timeout names.
type stage string

const (
	stageNone    stage = ""        // net/http has not begun: the request itself is faulty
	stageDNS     stage = "dns"     // looking the name up
	stageConnect stage = "connect" // connecting, or waiting for a connection
	stageTLS     stage = "tls"     // in the TLS handshake
	stageWait    stage = "wait"    // sending the request, or waiting for the answer
	stageBody    stage = "body"    // reading the answer's body
)

// exchange is one request and its answer, as httptrace saw it.
type exchange struct {
	transport *Transport
	ctx       context.Context
	cancel    context.CancelFunc
	target    *url.URL
	upload    *upload // nil: no request body
	pace      *pace   // nil: no stage has a limit
	informer  Informer
	trace     httptrace.ClientTrace
	// showsCertificate: the answer's timing is to tell of the target's certificate.
	showsCertificate bool

	// mu guards the following: hooks of a dial may run beside the request, and
	// even after it took another connection.
	mu        sync.Mutex
	stage     stage
	measured  proto.Timing
	began     time.Time // of the stage being measured
	conn      *meteredConn
	secure    bool
	sentAtGot int64 // conn's count of written bytes when the exchange got it
	wroteAll  bool
	answered  bool // a first byte of an answer came
	earlier   bool // an earlier attempt wrote some of the request
	wanted    bool // a client certificate, of which there is none, in a handshake
}

type exchangeKey struct{}

// noCertificate is a tls.Config's GetClientCertificate where there is none: it
// shows none, and notes that it was asked. A server that insists may end the
// connection later, and in whatever way.
func noCertificate(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if x, ok := info.Context().Value(exchangeKey{}).(*exchange); ok {
		x.mu.Lock()
		x.wanted = true
		x.mu.Unlock()
	}
	return &tls.Certificate{}, nil
}

// hooks are those that the target needs: each is allocated for each request.
func (x *exchange) hooks() *httptrace.ClientTrace {
	x.trace = httptrace.ClientTrace{
		GetConn:              func(string) { x.getConn() },
		DNSStart:             func(httptrace.DNSStartInfo) { x.enter(stageDNS) },
		DNSDone:              func(httptrace.DNSDoneInfo) { x.leave(&x.measured.DNS, stageConnect) },
		ConnectStart:         func(_, address string) { x.connecting(address) },
		ConnectDone:          func(_, _ string, _ error) { x.leave(&x.measured.Connect, stageConnect) },
		GotConn:              x.gotConn,
		WroteRequest:         x.wroteRequest,
		GotFirstResponseByte: x.firstByte,
	}
	if x.target.Scheme == "https" {
		x.trace.TLSHandshakeStart = func() { x.enter(stageTLS) }
		x.trace.TLSHandshakeDone = func(tls.ConnectionState, error) { x.leave(&x.measured.TLS, stageTLS) }
	}
	if x.informer != nil {
		x.trace.Got1xxResponse = x.informed
	}
	return &x.trace
}

// getConn begins an attempt; a second one follows a kept-alive connection that
// the target had closed.
func (x *exchange) getConn() {
	x.pace.connecting()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.earlier = x.earlier || x.wroteSome()
	x.conn, x.secure, x.measured = nil, false, proto.Timing{}
	x.stage, x.began = stageConnect, time.Now()
}

// wroteSome says whether a byte of the request left on this connection; mu is
// held.
func (x *exchange) wroteSome() bool {
	return x.conn != nil && x.conn.written.Load() != x.sentAtGot
}

func (x *exchange) enter(s stage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil { // else a dial that the request no longer waits for
		x.stage, x.began = s, time.Now()
	}
}

func (x *exchange) leave(measure *time.Duration, next stage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil {
		*measure = time.Since(x.began)
		x.stage = next
	}
}

func (x *exchange) connecting(address string) {
	x.enter(stageConnect)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil {
		x.measured.Address = address
	}
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.pace.moving()
	x.mu.Lock()
	defer x.mu.Unlock()
	raw := info.Conn
	x.secure = false
	if secure, ok := raw.(*tls.Conn); ok {
		raw, x.secure = secure.NetConn(), true
	}
	conn, ok := raw.(*meteredConn)
	if !ok { // an https proxy: TLS within TLS
		conn = &meteredConn{remote: info.Conn.RemoteAddr().String()}
	}
	if info.Reused {
		x.measured = proto.Timing{Reused: true}
	}
	x.conn, x.sentAtGot, x.wroteAll, x.answered = conn, conn.written.Load(), false, false
	x.measured.Address = conn.remote
	x.stage, x.began = stageWait, time.Now()
}

func (x *exchange) wroteRequest(info httptrace.WroteRequestInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if info.Err == nil {
		x.wroteAll = true
		if !x.answered {
			x.pace.waiting()
			x.began = time.Now()
		}
	}
}

func (x *exchange) firstByte() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answered = true
	x.pace.moving()
	x.measured.Wait = time.Since(x.began)
}

func (x *exchange) timing() proto.Timing {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.measured
}

// meteredConn is a connection to a target that counts what was written, so that
// a request of which no byte left is known as not sent, and keeps how the first
// answer began, so that a server that does not speak HTTP can be named.
type meteredConn struct {
	net.Conn
	remote  string
	written atomic.Int64
	first   atomic.Pointer[string] // up to firstBytes of what came first
}

const firstBytes = 8

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.first.Load() == nil {
		s := string(p[:min(n, firstBytes)])
		c.first.Store(&s)
	}
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// began is how the first answer on the connection began; empty: none came.
func (c *meteredConn) began() string {
	if s := c.first.Load(); s != nil {
		return *s
	}
	return ""
}

func meteredDial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := rawio.Dial(d)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &meteredConn{Conn: conn, remote: conn.RemoteAddr().String()}, nil
	}
}

// upload is the request's body; it remembers that reading it failed, which is
// the caller's failure and not the target's.
type upload struct {
	io.ReadCloser
	pace  *pace
	broke atomic.Pointer[error]
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.pace.read(u.ReadCloser, p)
	if err != nil && err != io.EOF && err != errGivenUp {
		u.broke.Store(&err)
	}
	return n, err
}

func (u *upload) failure() error {
	if u == nil {
		return nil
	}
	if err := u.broke.Load(); err != nil {
		return *err
	}
	return nil
}
