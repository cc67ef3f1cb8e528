package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// through connects to addr through the route's proxy.
func (e *Egress) through(ctx context.Context, r route, addr string) (net.Conn, error) {
	who, err := e.account(r.login)
	if err != nil {
		return nil, &DialError{Fault: FaultProxyAuth, Proxy: r.Proxy.Redacted(), Err: err, Text: err.Error()}
	}
	login := refusedLogin{proxy: r.Proxy.Host, who: who}
	if err := e.lockout.check(login); err != nil {
		return nil, err
	}
	var conn net.Conn
	switch r.Proxy.Scheme {
	case "socks5", "socks5h":
		conn, err = e.socks(ctx, r, who, addr)
	default:
		conn, err = e.connector(r, who, addr).connect(ctx)
	}
	e.lockout.note(login, err)
	return conn, err
}

// reach opens a connection to the proxy itself. What interrupts it when ctx ends
// is called off by release, which reports whether it came in time.
func (e *Egress) reach(ctx context.Context, r route) (conn net.Conn, release func() bool, err error) {
	raw, err := dial(ctx, "tcp", address(r.Proxy))
	if err != nil {
		return nil, nil, proxyUnreachable(r, err)
	}
	if r.Proxy.Scheme == "https" {
		secure := tls.Client(raw, &tls.Config{RootCAs: e.proxyRoots, ServerName: r.Proxy.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, nil, proxyUnreachable(r, err)
		}
		return secure, interruptible(ctx, secure), nil
	}
	return raw, interruptible(ctx, raw), nil
}

// interruptible makes reads and writes of conn fail when ctx ends.
func interruptible(ctx context.Context, conn net.Conn) (release func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// proxyUnreachable says why the proxy itself was not reached.
func proxyUnreachable(r route, err error) *DialError {
	var already *DialError
	if errors.As(err, &already) {
		return already
	}
	why := Explain("the proxy "+r.Proxy.Host, err)
	why.Proxy = r.Proxy.Redacted()
	if why.Fault == FaultTLS {
		why.Remedy = "name its authority in proxyCaFile; if the proxy speaks plain HTTP, write its URL with http://"
	} else {
		why.Remedy = "check the proxy's address and port"
	}
	why.Fault = FaultProxyUnreachable
	why.Remedy += fmt.Sprintf("; it was taken from %s", r.Source)
	return why
}

// remind adds to a failure on the direct way that there may be another.
func (r route) remind(e *DialError) *DialError {
	if r.PAC != "" {
		e.Remedy = fmt.Sprintf("the system names the script %s for choosing a proxy, which the agent does not evaluate: ask which proxy it gives for this host, and set proxy to that", r.PAC)
	}
	return e
}
