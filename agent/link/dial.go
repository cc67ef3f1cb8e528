package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// dial opens a tunnel: connection, websocket, handshake, session.
func (l *Link) dial(ctx context.Context, slot int) (*tunnel, error) {
	ws, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	welcome, rtt, err := l.handshake(ws, slot)
	if !stop() || err != nil {
		_ = ws.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	t := &tunnel{
		link: l, slot: slot, welcome: welcome, since: l.opts.Clock(), rtt: rtt, latency: rtt,
		drain: make(chan time.Duration, 1), ended: make(chan struct{}),
	}
	heartbeat := time.Duration(welcome.HeartbeatMs) * time.Millisecond
	t.conn = wsconn.New(ws, wsconn.Options{IdleTimeout: 2*heartbeat + time.Second, OnText: t.told})
	if t.session, err = mux.Client(t.conn, mux.Options{RTT: rtt, Log: l.log}); err != nil {
		_ = t.conn.Close()
		return nil, err
	}
	// Requests under way outlive ctx, by finish's leave.
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.own.Go(func() { t.beat(heartbeat) })
	l.work.Go(t.accept)
	return t, nil
}

// connect opens the websocket.
func (l *Link) connect(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.StepTimeout)
	defer cancel()
	target := l.opts.Relay.JoinPath(proto.TunnelPath)
	target.User, target.RawQuery, target.Fragment = nil, "", ""
	target.Scheme = map[string]string{"https": "wss", "http": "ws"}[target.Scheme]
	// The websocket package looks at ctx only between its steps; closing the
	// connection interrupts it at once.
	var opened net.Conn
	var interrupt func() bool
	dialer := websocket.Dialer{
		// Not the context that it is given, which ends with the dialling.
		NetDialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			conn, err := l.dialRelay(ctx, addr)
			if err != nil {
				return nil, err
			}
			opened = conn
			interrupt = context.AfterFunc(ctx, func() { _ = conn.Close() })
			return conn, nil
		},
		TLSClientConfig:  l.tlsConfig(),
		HandshakeTimeout: l.opts.StepTimeout,
		Subprotocols:     []string{proto.Subprotocol},
		ReadBufferSize:   4 << 10, // longer reads bypass it
		WriteBufferSize:  wsconn.MaxMessage,
		WriteBufferPool:  &l.buffers,
	}
	header := http.Header{"User-Agent": {"sallyport-agent/" + l.opts.Machine.Version}}
	ws, resp, err := dialer.DialContext(ctx, target.String(), header)
	if interrupt != nil && !interrupt() { // the connection was closed under it
		if err == nil {
			_ = ws.Close()
		}
		err = context.Cause(ctx)
	}
	switch {
	case errors.Is(err, websocket.ErrBadHandshake):
		return nil, badHandshake(l.opts.Relay.Host, resp)
	case err != nil:
		if opened != nil {
			_ = opened.Close()
		}
		return nil, dialFailed(l.opts.Relay.Host, err)
	case ws.Subprotocol() != proto.Subprotocol:
		_ = ws.Close()
		return nil, &DialError{Fault: FaultNotRelay, Text: fmt.Sprintf("%s accepts websockets, but is not a Sallyport relay of this version", l.opts.Relay.Host)}
	}
	return ws, nil
}

func (l *Link) tlsConfig() *tls.Config {
	if l.opts.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return l.opts.TLS.Clone()
}

// handshake is the agent's half of the handshake; see package proto.
func (l *Link) handshake(ws *websocket.Conn, slot int) (*proto.Welcome, time.Duration, error) {
	step := func() time.Time { return time.Now().Add(l.opts.StepTimeout) }
	m, id := l.opts.Machine, l.opts.Identity
	hello, err := proto.Encode(&proto.Hello{
		AgentID: id.AgentID, InstanceID: id.InstanceID, Run: l.run, Slot: slot,
		Version: m.Version, OS: m.OS, Arch: m.Arch, Hostname: m.Hostname, Capabilities: m.Capabilities,
		RelayHost: l.opts.Relay.Host, Time: l.opts.Clock(),
	})
	if err != nil {
		return nil, 0, err
	}
	asked := time.Now()
	if err := wsconn.WriteText(ws, hello, step()); err != nil {
		return nil, 0, err
	}
	challenge, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, step())
	if err != nil {
		return nil, 0, err
	}
	rtt := time.Since(asked)
	if _, err := proto.Expect[*proto.Challenge](challenge); err != nil {
		return nil, 0, err
	}
	proof, err := proto.Encode(&proto.Proof{Signature: proto.Sign(id.Key, hello, challenge)})
	if err != nil {
		return nil, 0, err
	}
	if err := wsconn.WriteText(ws, proof, step()); err != nil {
		return nil, 0, err
	}
	answer, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, step())
	if err != nil {
		return nil, 0, err
	}
	welcome, err := proto.Expect[*proto.Welcome](answer)
	return welcome, rtt, err
}

// Fault is what kind of thing keeps the agent from its relay.
type Fault string

// Faults, each with another remedy.
const (
	FaultUnreachable Fault = "unreachable"    // no such host, refused, no route, timed out
	FaultTLS         Fault = "tls"            // no trust in the relay's certificate
	FaultProxy       Fault = "proxy"          // the proxy can't be reached, or won't let through
	FaultProxyAuth   Fault = "proxy_auth"     // the proxy wants a login (407)
	FaultDenied      Fault = "denied"         // something in between, or the relay, answers 401 or 403
	FaultBusy        Fault = "busy"           // 429 or 503: later
	FaultPortal      Fault = "captive_portal" // a web page came instead
	FaultNotRelay    Fault = "not_a_relay"    // another server
)

// DialError says why no websocket to the relay could be opened.
type DialError struct {
	Fault      Fault
	Status     int           // of the HTTP answer; 0: there was none
	RetryAfter time.Duration // as the answer asks
	Text       string
	Err        error
}

func (e *DialError) Error() string { return e.Text }

func (e *DialError) Unwrap() error { return e.Err }

// dialFailed tells what kind of failure it is that no HTTP answer came.
func dialFailed(host string, err error) error {
	var already *DialError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &authority):
		issuer := "an unknown authority"
		if authority.Cert != nil {
			issuer = fmt.Sprintf("%q", authority.Cert.Issuer.String())
		}
		return &DialError{Fault: FaultTLS, Err: err, Text: fmt.Sprintf(
			"the certificate of %s was issued by %s, which this machine does not trust; where a proxy inspects TLS, name its authority in caFile", host, issuer)}
	case errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &verify):
		return &DialError{Fault: FaultTLS, Err: err, Text: fmt.Sprintf("the certificate of %s is not valid: %v", host, err)}
	case errors.As(err, &record):
		return &DialError{Fault: FaultTLS, Err: err, Text: fmt.Sprintf("%s does not speak TLS at this port", host)}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return &DialError{Fault: FaultUnreachable, Err: err, Text: fmt.Sprintf("%s did not answer in time", host)}
	}
	return &DialError{Fault: FaultUnreachable, Err: err, Text: fmt.Sprintf("%s can't be reached: %v", host, err)}
}

// badHandshake tells what an HTTP answer other than a websocket means. The
// websocket package has kept the first KiB of its body.
func badHandshake(host string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	e := &DialError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	excerpt := printable(body)
	html := strings.Contains(resp.Header.Get("Content-Type"), "html") || strings.Contains(strings.ToLower(string(body)), "<html")
	switch code := resp.StatusCode; {
	case code == http.StatusProxyAuthRequired:
		e.Fault, e.Text = FaultProxyAuth, "the proxy wants a login (407)"
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		e.Fault, e.Text = FaultBusy, fmt.Sprintf("%s asks to come back later (%s): %s", host, resp.Status, excerpt)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Fault, e.Text = FaultDenied, fmt.Sprintf("%s, or a proxy before it, denies access (%s): %s", host, resp.Status, excerpt)
	case code/100 == 3:
		e.Fault, e.Text = FaultPortal, fmt.Sprintf("%s redirects to %q: not a relay, or a login page of the network in between", host, printable([]byte(resp.Header.Get("Location"))))
	case code == http.StatusOK && html:
		e.Fault, e.Text = FaultPortal, fmt.Sprintf("%s answers with a web page: a login page of the network in between, perhaps", host)
	default:
		e.Fault, e.Text = FaultNotRelay, fmt.Sprintf("%s does not answer as a Sallyport relay (%s): %s", host, resp.Status, excerpt)
	}
	return e
}

// retryAfter reads Retry-After in seconds; as a date it is not used here.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// printable makes what someone else sent fit for a line of a log.
func printable(raw []byte) string {
	raw = raw[:min(len(raw), 200)]
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(raw), " "))), " ")
}

// relayURL is what proxies are chosen by.
func (l *Link) relayURL() *url.URL {
	u := *l.opts.Relay
	u.User = nil
	return &u
}
