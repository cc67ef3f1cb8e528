package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// dialRelay opens the TCP connection to the relay, through a proxy where one
// is set.
func (l *Link) dialRelay(ctx context.Context, addr string) (net.Conn, error) {
	choose := l.opts.Proxy
	if choose == nil {
		choose = httpproxy.FromEnvironment().ProxyFunc()
	}
	via, err := choose(l.relayURL())
	if err != nil {
		return nil, &DialError{Fault: FaultProxy, Err: err, Text: "the proxy setting can't be understood: " + err.Error()}
	}
	direct := &net.Dialer{KeepAlive: 30 * time.Second}
	if via == nil {
		return direct.DialContext(ctx, "tcp", addr)
	}
	conn, err := dialThrough(ctx, direct, via, addr)
	if err != nil {
		var already *DialError
		if errors.As(err, &already) {
			return nil, already
		}
		return nil, &DialError{Fault: FaultProxy, Err: err, Text: fmt.Sprintf("no connection through the proxy %s: %v", via.Redacted(), err)}
	}
	return conn, nil
}

// dialThrough connects to addr through a proxy: http, https or socks5.
func dialThrough(ctx context.Context, direct *net.Dialer, via *url.URL, addr string) (net.Conn, error) {
	switch via.Scheme {
	case "socks5", "socks5h":
		dialer, err := proxy.FromURL(via, direct)
		if err != nil {
			return nil, err
		}
		return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	case "http", "https":
	default:
		return nil, fmt.Errorf("scheme %q is not supported: use http, https or socks5", via.Scheme)
	}
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	conn, err := direct.DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	through := conn
	if via.Scheme == "https" {
		through = tls.Client(conn, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
	}
	if err := connectMethod(through, via, addr); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return through, nil
}

// connectMethod asks an HTTP proxy for a connection to addr (RFC 9110, section
// 9.3.6).
func connectMethod(conn net.Conn, via *url.URL, addr string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	req.Header.Set("User-Agent", "sallyport-agent")
	if via.User != nil {
		password, _ := via.User.Password()
		login := base64.StdEncoding.EncodeToString([]byte(via.User.Username() + ":" + password))
		req.Header.Set("Proxy-Authorization", "Basic "+login)
	}
	if err := req.Write(conn); err != nil {
		return fmt.Errorf("ask the proxy: %w", err)
	}
	answer := bufio.NewReaderSize(io.LimitReader(conn, 64<<10), 4<<10)
	resp, err := http.ReadResponse(answer, req)
	if err != nil {
		return fmt.Errorf("read the proxy's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return proxyRefused(via, resp)
	}
	if answer.Buffered() > 0 {
		return errors.New("the proxy speaks before it is spoken to")
	}
	return nil
}

func proxyRefused(via *url.URL, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	e := &DialError{Fault: FaultProxy, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	if resp.StatusCode == http.StatusProxyAuthRequired {
		e.Fault = FaultProxyAuth
		e.Text = fmt.Sprintf("the proxy %s wants a login (407; it offers %q): set user and password in the proxy's URL",
			via.Redacted(), printable([]byte(resp.Header.Get("Proxy-Authenticate"))))
		return e
	}
	e.Text = fmt.Sprintf("the proxy %s will not connect to the relay (%s): %s", via.Redacted(), resp.Status, printable(body))
	return e
}
