// Package egress is how connections leave this machine for the relay: directly
// or through a proxy, and whose certificates are believed on the way. The link,
// the enrolment and the doctor all go out through it, so that what one of them
// reaches the others reach too.
//
// Which way is taken is said by the agent's configuration, or else by the
// environment, or else by the settings of the operating system (way.go). A proxy
// may be HTTP, HTTPS or SOCKS5; where it wants a login, the strongest scheme is
// used that it offers and that this machine has credentials for (login.go). Every
// failure is a *DialError, which says what happened, at which hop, and what to do
// about it (fault.go).
//
// The package knows nothing of tunnels. It never evaluates a PAC script, which
// is a program from the network; it names the script and asks for a decision.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/rawio"

	"go.uber.org/zap"
)

// Values of Options.Proxy that are not a URL.
const (
	ProxySystem      = "system"      // the environment's; where that names none, the operating system's
	ProxyEnvironment = "environment" // HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY alone
	ProxyNone        = "none"        // always directly
)

// Options say how to leave. The zero value goes as the system says, and trusts
// its authorities.
type Options struct {
	// Proxy is one of the values above or a URL: http, https or socks5, which
	// may hold a user and password. "": ProxySystem.
	Proxy string
	// User is who logs in at the proxy, as name, DOMAIN\name or name@domain. It
	// wins over the user in the proxy's URL.
	User string
	// PasswordFile holds the password of User on its first line. It is read at
	// each login, so a new password needs no restart.
	PasswordFile string
	// Keytab is a file with the keys of User for Kerberos, in place of a password.
	// Windows has no use for it.
	Keytab string
	// Domain is the domain of User for NTLM, and its realm for Kerberos.
	Domain string
	// CAFile is a PEM file of authorities to trust besides the system's.
	CAFile string
	// ProxyCAFile is the same for an https proxy itself. "": CAFile.
	ProxyCAFile string
	// Env looks a variable up; nil: os.LookupEnv.
	Env func(string) (string, bool)
	Log *zap.Logger // nil: none
}

// Egress leaves the machine. Make it with New; the zero value is that of zero
// Options. It is safe for concurrent use.
type Egress struct {
	opts        Options
	fixed       *url.URL       // of Options.Proxy, where that is a URL
	roots       *x509.CertPool // nil: the system's
	proxyRoots  *x509.CertPool // for https proxies
	systemProxy func() (settings, error)
	lockout     lockout
	slowKDC     atomic.Int64 // see attempt

	mu   sync.Mutex // guards the following
	said string     // the way that was logged last
}

// New checks the options and reads the files of authorities.
func New(o Options) (*Egress, error) {
	e := &Egress{opts: o}
	var err error
	switch o.Proxy {
	case "", ProxySystem, ProxyEnvironment, ProxyNone:
	default:
		if e.fixed, err = ParseProxy(o.Proxy); err != nil {
			return nil, fmt.Errorf(`proxy: not "system", "environment" or "none", and %w`, err)
		}
	}
	if e.roots, err = authorities("caFile", o.CAFile); err != nil {
		return nil, err
	}
	e.proxyRoots = e.roots
	if o.ProxyCAFile != "" {
		if e.proxyRoots, err = authorities("proxyCaFile", o.ProxyCAFile); err != nil {
			return nil, err
		}
	}
	if o.User == "" && (o.PasswordFile != "" || o.Keytab != "") {
		return nil, errors.New("proxyPasswordFile, proxyKeytab: set proxyUser too, whose they are")
	}
	if o.PasswordFile != "" {
		if _, err := readPassword(o.PasswordFile); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Dial opens a TCP connection to the target's host and port, through a proxy
// where there is one. It speaks no TLS with the target: that is for the caller,
// with TLSConfig. Its error is a *DialError, or the cause of ctx's end.
func (e *Egress) Dial(ctx context.Context, target *url.URL) (net.Conn, error) {
	r, err := e.route(target)
	if err != nil {
		return nil, &DialError{Fault: FaultProxy, Err: err, Text: err.Error()}
	}
	e.say(r.Way)
	addr := address(target)
	if r.Proxy == nil {
		conn, err := dial(ctx, "tcp", addr)
		if err != nil {
			return nil, r.remind(Explain(target.Host, err))
		}
		return conn, nil
	}
	conn, err := e.through(ctx, r, addr)
	if err != nil {
		if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return conn, nil
}

// dial makes every connection of this package. An idle tunnel is kept alive by
// its own heartbeats; the kernel's are for what hangs before there is one.
var dial = rawio.Dial(&net.Dialer{KeepAlive: 30 * time.Second})

// address is the host and port to connect to.
func address(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = map[string]string{"https": "443", "wss": "443", "http": "80", "ws": "80", "socks5": "1080", "socks5h": "1080"}[target.Scheme]
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// TLSConfig is for TLS with the target. serverName may be left to whoever
// dials.
func (e *Egress) TLSConfig(serverName string) *tls.Config {
	return &tls.Config{RootCAs: e.roots, ServerName: serverName, MinVersion: tls.VersionTLS12}
}

// HTTPTransport sends HTTP requests the same way out, each on a connection of
// its own. The errors of its RoundTrip are those of Dial, and of Explain.
func (e *Egress) HTTPTransport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return e.Dial(ctx, &url.URL{Scheme: "http", Host: addr})
		},
		DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			target := &url.URL{Scheme: "https", Host: addr}
			conn, err := e.Dial(ctx, target)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(conn, e.TLSConfig(target.Hostname()))
			if err := secure.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
				return nil, Explain(addr, err)
			}
			return secure, nil
		},
	}
}

// say logs the way once, and again when it has changed.
func (e *Egress) say(w Way) {
	if e.opts.Log == nil {
		return
	}
	text := w.String()
	e.mu.Lock()
	same := e.said == text
	e.said = text
	e.mu.Unlock()
	if same {
		return
	}
	e.opts.Log.Info("way to the relay", zap.String("way", text))
	level := zap.InfoLevel
	if w.PAC != "" {
		level = zap.WarnLevel
	}
	for _, note := range w.Notes {
		e.opts.Log.Log(level, "about the way to the relay", zap.String("note", note))
	}
}

func authorities(key, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a machine without any: then these alone
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form (lines from BEGIN CERTIFICATE to END CERTIFICATE)", key, file)
	}
	return pool, nil
}
