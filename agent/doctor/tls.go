package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"sallyport/agent/egress"
)

// open makes a connection to the relay on which HTTP can be spoken. state is
// nil where that is plain text.
func (e *examination) open(ctx context.Context) (conn net.Conn, state *tls.ConnectionState, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.Step)
	defer cancel()
	raw, err := e.Egress.Dial(ctx, e.relay)
	if err != nil || e.relay.Scheme != "https" {
		return raw, nil, err
	}
	secure := tls.Client(raw, e.Egress.TLSConfig(e.relay.Hostname()))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	s := secure.ConnectionState()
	return secure, &s, nil
}

// handshake looks at the TLS handshake and the relay's certificates: whose they
// are tells whether someone in between opens the connection.
func (e *examination) handshake(ctx context.Context) {
	if e.blocked == "" && e.relay.Scheme != "https" {
		e.skip(CheckTLS, e.relay.Host, "the relay's URL is not https")
		return
	}
	e.onTheWay(CheckTLS, hostOf(e.relay), func(r *Result) {
		conn, state, err := e.open(ctx)
		if err != nil {
			e.explainTLS(r, err)
			return
		}
		_ = conn.Close()
		e.judgeChain(r, state)
	})
}

// judgeChain settles r for a handshake that succeeded.
func (e *examination) judgeChain(r *Result, state *tls.ConnectionState) {
	chain := state.PeerCertificates
	leaf := chain[0]
	logged := publiclyLogged(state)
	r.Facts["chain"], r.Facts["publicAuthority"] = describe(chain), logged
	r.Facts["version"], r.Facts["cipherSuite"] = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	message := fmt.Sprintf("%s, certificate issued by %q, valid until %s.", tls.VersionName(state.Version), leaf.Issuer, day(leaf.NotAfter))
	if !logged {
		message += " That is no public authority but one that this machine was told to trust: the relay's own, or a device that inspects TLS."
	}
	name := inspector(chain)
	switch soon := expiresSoon(chain, e.Clock()); {
	case name != "":
		r.Facts["inspectedBy"] = name
		r.warn(fmt.Sprintf("%s, but %s on the way opens the connection and signs it anew (%q).", tls.VersionName(state.Version), name, leaf.Issuer),
			fmt.Sprintf("The agent works through it as long as websockets are let through; better, have %s exempted from inspection.", e.relay.Hostname()))
	case soon != nil:
		r.warn(fmt.Sprintf("%s The certificate of %q expires on %s.", message, soon.Subject, day(soon.NotAfter)), "Have it renewed in time.")
	default:
		r.pass(message)
	}
}

// explainTLS settles r for a handshake that failed.
func (e *examination) explainTLS(r *Result, err error) {
	host := e.relay.Host
	var (
		certificate *tls.CertificateVerificationError
		dial        *egress.DialError
		record      tls.RecordHeaderError
		alert       *net.OpError
	)
	switch {
	case errors.As(err, &certificate):
		e.explainCertificate(r, e.relay.Hostname(), certificate)
	case errors.As(err, &dial):
		explainDial(r, host, err, "Check the network, then run doctor again.")
	case errors.As(err, &record):
		r.Facts["error"] = "not_tls"
		r.fail(fmt.Sprintf("%s does not speak TLS at this port.", host), "Check the port; on a guests' network, open a web page first: a login page may answer in the relay's place.")
	case errors.As(err, &alert) && alert.Op == "remote error":
		r.Facts["error"] = "alert"
		r.fail(fmt.Sprintf("%s ended the TLS handshake: %s.", host, strings.TrimPrefix(alert.Err.Error(), "tls: ")), "A server or device that only knows old TLS, or not this host name, does so: TLS 1.2 or newer is needed for "+e.relay.Hostname()+".")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		r.Facts["error"] = "timeout"
		r.fail(fmt.Sprintf("%s accepts connections, but does not answer within them.", host),
			"A firewall or device on the way swallows the TLS handshake: ask the network team to let TLS to this host name through; packets too large for a VPN (MTU) look the same.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errnoIn(err, errnoReset):
		r.Facts["error"] = "cut_off"
		r.fail(fmt.Sprintf("The connection to %s is cut off as soon as TLS begins.", host),
			"A firewall that filters by host name (SNI) does so: ask the network team to allow "+e.relay.Hostname()+"; or the port is not one for TLS.")
	default:
		r.Facts["error"] = "handshake"
		r.fail(fmt.Sprintf("The TLS handshake with %s failed: %v.", host, cause(err)), "TLS 1.2 or newer is needed: check the relay, and devices on the way.")
	}
}
