package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// maxRounds is how often a proxy may be asked, and ask back: Kerberos takes 2,
// NTLM 3.
const maxRounds = 8

// connector opens one connection through an HTTP proxy by the CONNECT method
// (RFC 9110, section 9.3.6).
type connector struct {
	egress *Egress
	route  route
	addr   string // host and port of the target
	login  *login
	conn   *proxyConn     // to the proxy; nil: to be dialled
	wanted *http.Response // the last 407
}

func (e *Egress) connector(r route, who account, addr string) *connector {
	return &connector{egress: e, route: r, addr: addr, login: &login{attempt: attempt{
		who: who, proxy: r.Proxy.Hostname(), addr: addr,
		keytab: e.opts.Keytab, env: e.env(), slowKDC: &e.slowKDC,
	}}}
}

// connect asks, and logs in where it is asked to, until the proxy lets through
// or refuses.
//
// NTLM and Kerberos log a connection in, not a request: so the question is asked
// again on the connection that carried the challenge, for as long as the proxy
// keeps it open.
func (c *connector) connect(ctx context.Context) (net.Conn, error) {
	defer c.login.close()
	err := c.converse(ctx)
	if err == nil {
		return c.conn.Conn, nil
	}
	if c.conn != nil {
		c.conn.close()
		if ctx.Err() != nil {
			err = c.failed(fmt.Errorf("it did not answer in time (%w)", context.Cause(ctx)))
		}
	}
	return nil, err
}

// converse leaves c.conn connected to the target.
func (c *connector) converse(ctx context.Context) error {
	authorization := c.login.opening()
	for range maxRounds {
		resp, err := c.ask(ctx, authorization)
		if err != nil {
			return err
		}
		if resp.StatusCode/100 == 2 {
			return c.opened(ctx)
		}
		if authorization, err = c.respond(ctx, resp); err != nil {
			return err
		}
	}
	return c.failed(errors.New("it keeps asking for another login"))
}

// ask asks the proxy once, on the connection to it or on a new one.
func (c *connector) ask(ctx context.Context, authorization string) (*http.Response, error) {
	for {
		if c.conn == nil {
			conn, release, err := c.egress.reach(ctx, c.route)
			if err != nil {
				return nil, err
			}
			c.conn = &proxyConn{Conn: conn, release: release}
		}
		resp, err := c.conn.ask(c.addr, authorization)
		switch {
		case err == nil:
			return resp, nil
		case c.conn.asked == 1 || ctx.Err() != nil:
			return nil, c.failed(err)
		}
		// It closed the connection after its refusal, though it did not say so.
		if err := c.redial(); err != nil {
			return nil, err
		}
	}
}

// opened looks whether the connection can be handed over.
func (c *connector) opened(ctx context.Context) error {
	if c.conn.answers.Buffered() > 0 {
		return c.failed(errors.New("it speaks before it is spoken to"))
	}
	if !c.conn.release() {
		return context.Cause(ctx)
	}
	return nil
}

// respond takes in a refusal, and returns what to ask with next.
func (c *connector) respond(ctx context.Context, resp *http.Response) (authorization string, err error) {
	body, kept := c.conn.drain(resp)
	if resp.StatusCode != http.StatusProxyAuthRequired {
		return "", c.refused(resp, body)
	}
	c.wanted = resp
	if authorization, err = c.login.next(ctx, parseChallenges(resp.Header["Proxy-Authenticate"])); err != nil {
		return "", c.loginFailed(err)
	}
	if !kept {
		err = c.redial()
	}
	return authorization, err
}

// redial gives the connection up for another, unless the login is bound to it.
func (c *connector) redial() error {
	c.conn.close()
	c.conn = nil
	if c.login.bound() {
		return c.loginFailed(fmt.Errorf("the proxy closes the connection in the middle of a login with %s", c.login.name))
	}
	return nil
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
func (c *connector) loginFailed(err error) *DialError {
	proxy := c.route.Proxy.Redacted()
	e := &DialError{Fault: FaultProxyAuth, Proxy: proxy, Status: c.wanted.StatusCode, Err: err}
	for _, offer := range parseChallenges(c.wanted.Header["Proxy-Authenticate"]) {
		e.Offered = append(e.Offered, offer.String())
	}
	offers := strings.Join(e.Offered, ", ")
	if offers == "" {
		offers = "no way to log in"
	}
	if errors.Is(err, errRefused) {
		e.Scheme = c.login.name
		e.Text = fmt.Sprintf("the proxy %s refuses the login of %s with %s (407; it offers %s)", proxy, c.login.who.shown(), e.Scheme, offers)
		e.Remedy = strings.Join(append([]string{"check the user, the password and the domain, and that this user may use the proxy"}, c.login.passed...), "; ")
		return e
	}
	e.Text = fmt.Sprintf("the proxy %s wants a login (407; it offers %s)", proxy, offers)
	e.Remedy = err.Error()
	return e
}
