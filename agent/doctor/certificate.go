package doctor

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/agent/egress"
)

// Certificate is one certificate of a chain, among the facts; the host's own
// comes first.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Names     []string  `json:"names,omitempty"` // hosts that it holds for
	SHA256    string    `json:"sha256"`          // fingerprint, as browsers show it
}

func describe(chain []*x509.Certificate) []Certificate {
	out := make([]Certificate, len(chain))
	for i, c := range chain {
		sum := sha256.Sum256(c.Raw)
		out[i] = Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
			Names: namesOf(c), SHA256: hex.EncodeToString(sum[:]),
		}
	}
	return out
}

// namesOf lists the hosts for which a certificate holds.
func namesOf(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// explainCertificate is for a chain that was not accepted.
func (e *examination) explainCertificate(r *Result, host string, refused *tls.CertificateVerificationError) {
	chain := refused.UnverifiedCertificates
	r.Facts["chain"] = describe(chain)
	var (
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		unknown   x509.UnknownAuthorityError
	)
	leaf := chain[0] // crypto/tls refuses an empty chain before this
	switch {
	case errors.As(refused, &wrongName):
		r.Facts["error"] = "wrong_host_name"
		names := namesOf(leaf)
		message := fmt.Sprintf("The certificate of %s is for another host: it names %s.", host, strings.Join(names, ", "))
		if len(names) == 0 {
			message = fmt.Sprintf("The certificate of %s is for another host: it names none.", host)
		}
		r.fail(message+by(leaf), "Use the name for which the relay has its certificate, or have one made for this name; check that the name leads to the relay and not to another server.")
	case errors.As(refused, &invalid) && invalid.Reason == x509.Expired:
		e.doubtful = true
		e.explainDates(r, host, invalid.Cert)
	case errors.As(refused, &unknown):
		r.Facts["error"] = "unknown_authority"
		explainAuthority(r, host, chain)
	default:
		r.Facts["error"] = "certificate"
		r.fail(fmt.Sprintf("The certificate of %s is not valid: %v.%s", host, cause(refused), by(leaf)), "Have the relay's certificate replaced by a valid one.")
	}
}

func (e *examination) explainDates(r *Result, host string, c *x509.Certificate) {
	now := e.Clock()
	if now.Before(c.NotBefore) {
		r.Facts["error"] = "not_yet_valid"
		r.fail(fmt.Sprintf("The certificate of %s is not valid before %s; this machine's clock says %s.%s", host, day(c.NotBefore), day(now), by(c)),
			"Set this machine's clock, best by NTP: it seems to be slow.")
		return
	}
	r.Facts["error"] = "expired"
	r.fail(fmt.Sprintf("The certificate of %s expired on %s; this machine's clock says %s.%s", host, day(c.NotAfter), day(now), by(c)),
		"Have it renewed by whoever issued it; if the date here is wrong, set this machine's clock.")
}

// explainAuthority names who signed a chain that leads to nobody known.
func explainAuthority(r *Result, host string, chain []*x509.Certificate) {
	leaf, last := chain[0], chain[len(chain)-1]
	r.Facts["issuer"] = last.Issuer.String()
	exempt := fmt.Sprintf("take its authority's certificate (PEM) from your IT and name it with --ca-file (caFile), or have %s exempted from inspection.", host)
	if name := inspector(chain); name != "" {
		r.Facts["inspectedBy"] = name
		r.fail(fmt.Sprintf("The certificate of %s was not issued by a public authority but by %q, which this machine does not trust: %s inspects TLS on the way.", host, last.Issuer, name),
			strings.ToUpper(exempt[:1])+exempt[1:])
		return
	}
	if len(chain) == 1 && string(leaf.RawIssuer) == string(leaf.RawSubject) {
		r.fail(fmt.Sprintf("The certificate of %s is signed by itself (%q), so nothing proves whose it is.", host, leaf.Subject),
			"If it is the relay's own, name it with --ca-file (caFile); if not, a device on the way answers in the relay's place: ask the network team.")
		return
	}
	r.fail(fmt.Sprintf("The certificate of %s was issued by %q, which this machine does not trust.", host, last.Issuer),
		"If that is your relay's own authority or your company's TLS inspection, "+exempt)
}

// by names the issuer, which tells whose certificate it is.
func by(c *x509.Certificate) string { return fmt.Sprintf(" It was issued by %q.", c.Issuer) }

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// expiresSoon returns the certificate of a chain that runs out first, where
// that is soon: within two weeks, or the last sixth of a shorter life.
func expiresSoon(chain []*x509.Certificate, now time.Time) *x509.Certificate {
	var soonest *x509.Certificate
	for _, c := range chain {
		warning := min(14*24*time.Hour, c.NotAfter.Sub(c.NotBefore)/6)
		if c.NotAfter.Sub(now) < warning && (soonest == nil || c.NotAfter.Before(soonest.NotAfter)) {
			soonest = c
		}
	}
	return soonest
}

// timestampList is the extension by which a certificate proves that it is in
// public logs (RFC 6962, section 3.3). Browsers ask it of every public
// authority; neither a company's own nor a device that re-signs has it.
var timestampList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// publiclyLogged reports whether a trusted certificate comes from a public
// authority.
func publiclyLogged(state *tls.ConnectionState) bool {
	for _, x := range state.PeerCertificates[0].Extensions {
		if x.Id.Equal(timestampList) {
			return true
		}
	}
	return len(state.SignedCertificateTimestamps) > 0
}

// inspector names the product on the way that signed the chain, or "".
func inspector(chain []*x509.Certificate) string {
	for _, c := range chain {
		if name := egress.Inspector(c); name != "" {
			return name
		}
	}
	return ""
}
