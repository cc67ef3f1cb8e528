package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Bounds of what a proxy may answer.
const (
	maxAnswer = 64 << 10 // header and body of a refusal
	maxRounds = 8        // of asking and being asked back; Kerberos takes 2, NTLM 3
)

// connector opens one connection through an HTTP proxy by the CONNECT method
// (RFC 9110, section 9.3.6).
type connector struct {
	egress *Egress
	route  route
	who    account
	addr   string // host and port of the target
}

// connect asks, and logs in where it is asked to, until the proxy lets through
// or refuses.
//
// NTLM and Kerberos log a connection in, not a request: so the question is asked
// again on the connection that carried the challenge, for as long as the proxy
// keeps it open.
func (c *connector) connect(ctx context.Context) (net.Conn, error) {
	login := &login{attempt: attempt{
		who: c.who, proxy: c.route.Proxy.Hostname(), addr: c.addr,
		keytab: c.egress.opts.Keytab, env: c.egress.env(), slowKDC: &c.egress.slowKDC,
	}}
	defer login.close()
	var p *proxyConn
	fail := func(err error) (net.Conn, error) {
		if p != nil && ctx.Err() != nil {
			err = c.failed(fmt.Errorf("it did not answer in time (%w)", context.Cause(ctx)))
		}
		p.close()
		return nil, err
	}
	authorization := login.opening()
	for range maxRounds {
		if p == nil {
			conn, release, err := c.egress.reach(ctx, c.route)
			if err != nil {
				return fail(err)
			}
			p = &proxyConn{Conn: conn, release: release}
		}
		resp, err := p.ask(c.addr, authorization)
		if err != nil {
			return fail(c.failed(err))
		}
		if resp.StatusCode/100 == 2 {
			if p.answers.Buffered() > 0 {
				return fail(c.failed(errors.New("it speaks before it is spoken to")))
			}
			if !p.release() {
				return fail(context.Cause(ctx))
			}
			return p.Conn, nil
		}
		body, kept := p.drain(resp)
		if resp.StatusCode != http.StatusProxyAuthRequired {
			return fail(c.refused(resp, body))
		}
		if authorization, err = login.next(ctx, parseChallenges(resp.Header["Proxy-Authenticate"])); err != nil {
			return fail(c.loginFailed(resp, login, err))
		}
		if !kept {
			p.close()
			p = nil
			if login.bound() {
				return fail(c.loginFailed(resp, login, fmt.Errorf("the proxy closes the connection in the middle of a login with %s", login.name)))
			}
		}
	}
	return fail(c.failed(errors.New("it keeps asking for another login")))
}

// failed is a proxy that was reached, and then did not behave as one.
func (c *connector) failed(err error) *DialError {
	proxy := c.route.Proxy.Redacted()
	return &DialError{Fault: FaultProxy, Proxy: proxy, Err: err,
		Text:   fmt.Sprintf("no connection through the proxy %s: %v", proxy, err),
		Remedy: "check that this is an HTTP proxy, and whether it wants https:// or socks5://"}
}

// refused is a proxy that says no to the target.
func (c *connector) refused(resp *http.Response, body string) *DialError {
	proxy := c.route.Proxy.Redacted()
	e := &DialError{Fault: FaultProxy, Proxy: proxy, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	// Squid and its like put their reason in a word; the page is for browsers.
	reason, _, _ := strings.Cut(printable([]byte(resp.Header.Get("X-Squid-Error"))), " ") // a number follows
	if reason == "" {
		reason = excerpt(body)
	}
	e.Text = fmt.Sprintf("the proxy %s will not connect to %s (%s): %s", proxy, c.addr, resp.Status, reason)
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden || code == http.StatusMethodNotAllowed || code == http.StatusUnauthorized:
		e.Remedy = fmt.Sprintf("ask whoever runs the proxy to allow CONNECT to %s", c.addr)
	case code/100 == 5:
		e.Remedy = "the proxy itself does not reach it: check that the name and port are right and that the relay is running"
	}
	return e
}

// loginFailed is a proxy that wants a login which it did not get.
func (c *connector) loginFailed(resp *http.Response, l *login, err error) *DialError {
	proxy := c.route.Proxy.Redacted()
	e := &DialError{Fault: FaultProxyAuth, Proxy: proxy, Status: resp.StatusCode, Err: err}
	for _, offer := range parseChallenges(resp.Header["Proxy-Authenticate"]) {
		e.Offered = append(e.Offered, offer.String())
	}
	offers := strings.Join(e.Offered, ", ")
	if offers == "" {
		offers = "no way to log in"
	}
	if errors.Is(err, errRefused) {
		e.Scheme = l.name
		e.Text = fmt.Sprintf("the proxy %s refuses the login of %s with %s (407; it offers %s)", proxy, l.who.shown(), e.Scheme, offers)
		e.Remedy = strings.Join(append([]string{"check the user, the password and the domain, and that this user may use the proxy"}, l.passed...), "; ")
		return e
	}
	e.Text = fmt.Sprintf("the proxy %s wants a login (407; it offers %s)", proxy, offers)
	e.Remedy = err.Error()
	return e
}

// proxyConn is a connection to a proxy that has not let through yet.
type proxyConn struct {
	net.Conn
	release func() bool
	limit   *io.LimitedReader
	answers *bufio.Reader
}

// ask asks for a connection to addr.
func (p *proxyConn) ask(addr, authorization string) (*http.Response, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{
		"User-Agent":       {"sallyport-agent"},
		"Proxy-Connection": {"Keep-Alive"}, // not in any RFC; some proxies keep the connection for it alone
	}}
	if authorization != "" {
		req.Header.Set("Proxy-Authorization", authorization)
	}
	if err := req.Write(p.Conn); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	if p.answers == nil {
		p.limit = &io.LimitedReader{R: p.Conn}
		p.answers = bufio.NewReaderSize(p.limit, 4<<10)
	}
	p.limit.N = maxAnswer
	resp, err := http.ReadResponse(p.answers, req)
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	return resp, nil
}

// drain reads a refusal's body, and reports whether the connection can be asked
// again.
func (p *proxyConn) drain(resp *http.Response) (body string, kept bool) {
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(raw), err == nil && !resp.Close
}

func (p *proxyConn) close() {
	if p != nil {
		p.release()
		_ = p.Close()
	}
}

// excerpt is what a page of a proxy says, for a line of a log.
func excerpt(body string) string {
	var text strings.Builder
	for rest := body; rest != ""; {
		before, tag, found := strings.Cut(rest, "<")
		text.WriteString(before + " ")
		if !found {
			break
		}
		_, rest, _ = strings.Cut(tag, ">")
		for _, silent := range []string{"style", "script"} {
			if strings.HasPrefix(strings.ToLower(tag), silent) {
				if _, after, ok := strings.Cut(rest, "</"+silent); ok {
					_, rest, _ = strings.Cut(after, ">")
				}
			}
		}
	}
	return printable([]byte(strings.Join(strings.Fields(text.String()), " ")))
}
