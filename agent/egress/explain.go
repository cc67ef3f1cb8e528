package egress

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
	"syscall"
	"time"
)

// Explain tells what kind of failure it is that no HTTP answer came from the
// host: of Dial, of TLS with it, or of the first bytes after that.
func Explain(host string, err error) *DialError {
	var already *DialError
	if errors.As(err, &already) {
		return already
	}
	if e := explainTLS(host, err); e != nil {
		return e
	}
	e := &DialError{Fault: FaultUnreachable, Err: err}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		e.Text = fmt.Sprintf("%s did not answer in time", host)
		e.Remedy = "a firewall that drops connections without a word looks like this: ask for outbound access to it, or for the proxy to use"
	case errors.As(err, &dns):
		e.Text = fmt.Sprintf("the name of %s is not found: %v", host, err)
		e.Remedy = "where names of the internet are known to the proxy only, set proxy"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Text = fmt.Sprintf("%s refused the connection: %v", host, err)
		e.Remedy = "check the port, and that the relay is running"
	default:
		e.Text = fmt.Sprintf("%s can't be reached: %v", host, err)
	}
	return e
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// explainTLS is Explain for a TLS handshake; nil where it was not that.
func explainTLS(host string, err error) *DialError {
	e := &DialError{Fault: FaultTLS, Err: err}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		e.Text, e.Remedy = e.distrust(host, leaf(err, authority))
	case errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &verify):
		e.Text = fmt.Sprintf("the certificate of %s is not valid: %v", host, err)
	case errors.As(err, &record):
		e.Text = fmt.Sprintf("%s does not speak TLS at this port", host)
	default:
		return nil
	}
	return e
}

// BadAnswer tells what an HTTP answer means that is not the expected one: not a
// websocket, not an enrolment. It reads the first KiB of the body, and leaves
// closing it to the caller.
func BadAnswer(host string, resp *http.Response) *DialError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	e := &DialError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	excerpt := printable(body)
	html := strings.Contains(resp.Header.Get("Content-Type"), "html") || strings.Contains(strings.ToLower(string(body)), "<html")
	switch code := resp.StatusCode; {
	case code == http.StatusProxyAuthRequired:
		e.Fault, e.Text = FaultProxyAuth, "a proxy in between wants a login (407)"
		e.Remedy = "name it in proxy, with proxyUser and proxyPasswordFile"
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		e.Fault, e.Text = FaultBusy, fmt.Sprintf("%s asks to come back later (%s): %s", host, resp.Status, excerpt)
	case code == http.StatusBadGateway || code == http.StatusGatewayTimeout:
		e.Fault, e.Text = FaultBusy, fmt.Sprintf("%s is there, but the relay behind it is not (%s)", host, resp.Status)
		e.Remedy = "wait: the relay is being restarted, perhaps; else tell whoever runs it"
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Fault, e.Text = FaultDenied, fmt.Sprintf("%s, or a proxy before it, denies access (%s): %s", host, resp.Status, excerpt)
	case code/100 == 3:
		e.Fault, e.Text = FaultPortal, fmt.Sprintf("%s redirects to %q: not a relay, or a login page of the network in between", host, printable([]byte(withoutQuery(resp.Header.Get("Location")))))
	case code == http.StatusOK && html:
		e.Fault, e.Text = FaultPortal, fmt.Sprintf("%s answers with a web page: a login page of the network in between, perhaps", host)
	default:
		e.Fault, e.Text = FaultNotRelay, fmt.Sprintf("%s does not answer as a Sallyport relay (%s): %s", host, resp.Status, excerpt)
	}
	return e
}

// MaxRetryAfter is the longest Retry-After that is obeyed: a faulty proxy must
// not keep an agent away for a day.
const MaxRetryAfter = 5 * time.Minute

// retryAfter reads Retry-After in seconds; as a date it is not used here.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
}

// withoutQuery is where a redirect leads, without what may hold a token.
func withoutQuery(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "another place"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String()
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
