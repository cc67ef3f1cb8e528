package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sallyport/proto"
)

// explainTLS is for what kept a trustworthy TLS connection from being made; nil
// where err is something else.
func (x *exchange) explainTLS(err error) *proto.Error {
	e := &proto.Error{Code: proto.CodeTargetTLS, Facts: map[string]string{"address": x.measured.Address}}
	var (
		verification *tls.CertificateVerificationError
		pin          *pinMismatch
		record       tls.RecordHeaderError
		op           *net.OpError
	)
	switch {
	case errors.As(err, &pin):
		x.explainPin(e, pin)
	case errors.As(err, &verification):
		x.explainCertificate(e, verification)
	case x.wanted && !x.answered && x.stage != stageConnect && !isTimeout(err):
		e.Reason = proto.ReasonClientCertificate
		e.Detail = fmt.Sprintf("%s asks for a client certificate, of which it was shown none, and ended the connection.", x.called(x.measured.Address))
		e.Hint = "Configure a client certificate of this host where the request is sent from; for an agent, under clientCertificates in agent.yaml."
	case errors.As(err, &record) && x.conn == nil:
		e.Reason = proto.ReasonNotTLS
		e.Detail = fmt.Sprintf("%s does not speak TLS, and the URI says https.", x.measured.Address)
		e.Hint = "Write http:// in place of https:// in the URI, or use the port on which the application speaks TLS."
	case errors.As(err, &op) && op.Op == "remote error": // an alert of the other side (RFC 8446, section 6)
		e.Reason = proto.ReasonTLSHandshake
		e.Detail = fmt.Sprintf("%s ended the TLS handshake: %v.", x.measured.Address, op.Err)
		e.Hint = "The application may ask for a client certificate, or only know old versions of TLS or another host name."
	case x.stage == stageTLS && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isErrno(err, errnoReset)):
		e.Reason = proto.ReasonTLSHandshake
		e.Detail = fmt.Sprintf("%s closed the connection in the TLS handshake.", x.measured.Address)
		e.Hint = "Check that the port is the one for https; a firewall that inspects TLS closes connections like this too."
	case x.stage == stageTLS && !isTimeout(err):
		e.Reason = proto.ReasonTLSHandshake
		e.Detail = fmt.Sprintf("The TLS handshake with %s failed: %v.", x.measured.Address, rootCause(err))
		e.Hint = "The application may only know versions of TLS before 1.2, which are not safe."
	default:
		return nil
	}
	return e
}

// explainPin is for a pinned host that shows another certificate.
func (x *exchange) explainPin(e *proto.Error, pin *pinMismatch) {
	host := x.target.Host
	e.Reason = proto.ReasonPinMismatch
	e.Facts["pinned"], e.Facts["shown"] = pin.pinned.String(), pin.shown.String()
	e.Detail = fmt.Sprintf("The certificate of %s has changed: it is %s, and %s is pinned.", host, pin.shown, pin.pinned)
	e.Hint = "If it was renewed on purpose, run `" + x.trustCommand() + "` on the machine from which the request is sent, and compare the fingerprint with the application's own; if not, something on the way answers in its place."
}

// trustCommand is the command that pins the target's certificate.
func (x *exchange) trustCommand() string {
	return x.transport.trust + " https://" + x.target.Host
}

// orTrust adds the command to a hint, where there is one.
func (x *exchange) orTrust(hint string) string {
	if x.transport.trust == "" {
		return hint
	}
	return hint + " Or run `" + x.trustCommand() + "` there, which shows this very certificate and pins it."
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// explainCertificate is for a certificate that was not accepted.
func (x *exchange) explainCertificate(e *proto.Error, err *tls.CertificateVerificationError) {
	host := x.target.Hostname()
	chain := err.UnverifiedCertificates
	if len(chain) == 0 { // crypto/tls never does this
		e.Reason, e.Detail = proto.ReasonTLSHandshake, fmt.Sprintf("The certificate of %s was not accepted: %v.", host, err.Err)
		return
	}
	leaf := chain[0]
	e.Facts["subject"] = name(leaf.Subject)
	var (
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		unknown   x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &wrongName):
		names := namesOf(leaf)
		e.Reason = proto.ReasonWrongHost
		e.Facts["names"] = strings.Join(names, ", ")
		e.Detail = fmt.Sprintf("The certificate of %s is for another host: it has no name at all.", host)
		if len(names) > 0 {
			e.Detail = fmt.Sprintf("The certificate of %s is for another host: it names %s.", host, strings.Join(names, ", "))
		}
		e.Hint = x.orTrust("Use one of the certificate's names as the host of the URI, or have a certificate made for this one.")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		x.explainValidity(e, invalid.Cert)
	case errors.As(err, &unknown) && len(chain) == 1 && string(leaf.RawIssuer) == string(leaf.RawSubject):
		e.Reason = proto.ReasonSelfSigned
		e.Detail = fmt.Sprintf("The certificate of %s is signed by itself (%s), so nothing proves whose it is.", host, name(leaf.Subject))
		e.Hint = x.orTrust("Add this certificate to the trusted ones of the machine from which the request is sent.")
	case errors.As(err, &unknown):
		issuer := name(chain[len(chain)-1].Issuer)
		e.Reason = proto.ReasonUnknownAuthority
		e.Facts["issuer"] = issuer
		e.Detail = fmt.Sprintf("The certificate of %s is signed by an unknown authority, %q.", host, issuer)
		e.Hint = x.orTrust(fmt.Sprintf("Add the certificate of %q to the trusted ones of the machine from which the request is sent; or let the application send its whole chain.", issuer))
	default:
		e.Reason = proto.ReasonTLSHandshake
		e.Detail = fmt.Sprintf("The certificate of %s was not accepted: %v.", host, err.Err)
	}
}

// explainValidity is for a certificate that is not valid at this time; it may
// be any of the chain.
func (x *exchange) explainValidity(e *proto.Error, cert *x509.Certificate) {
	host := x.target.Hostname()
	now := x.transport.clock().UTC()
	e.Facts["notAfter"] = cert.NotAfter.UTC().Format(time.RFC3339)
	e.Facts["notBefore"] = cert.NotBefore.UTC().Format(time.RFC3339)
	if now.Before(cert.NotBefore) {
		e.Reason = proto.ReasonNotYetValid
		e.Detail = fmt.Sprintf("The certificate of %s (%s) is not valid before %s; the clock here says %s.", host, name(cert.Subject), day(cert.NotBefore), day(now))
		e.Hint = "Check the clock of the machine from which the request is sent."
		return
	}
	e.Reason = proto.ReasonExpired
	e.Detail = fmt.Sprintf("The certificate of %s (%s) expired on %s; the clock here says %s.", host, name(cert.Subject), day(cert.NotAfter), day(now))
	e.Hint = "Have the application's certificate renewed; if the date here is wrong, set the clock of the machine from which the request is sent."
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// name is what a person calls the holder of a certificate.
func name(n pkix.Name) string {
	switch {
	case n.CommonName != "":
		return n.CommonName
	case len(n.Organization) > 0:
		return n.Organization[0]
	}
	return n.String()
}

// namesOf lists the hosts for which a certificate holds.
func namesOf(cert *x509.Certificate) []string {
	names := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
