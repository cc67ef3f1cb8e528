package outbound

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
)

// HostTLS is how TLS differs for one host and port. Its zero value differs in
// nothing.
type HostTLS struct {
	// Pin is the fingerprint of the one certificate that the host may show: who
	// signed it, its names and its dates then prove nothing more. Nil: none.
	Pin *Fingerprint
	// Certificate is shown to a server that asks for one; nil: none is.
	Certificate *tls.Certificate
}

// Fingerprint is the SHA-256 of a certificate, as browsers and openssl show it.
type Fingerprint [sha256.Size]byte

// FingerprintOf is that of a certificate in DER form.
func FingerprintOf(der []byte) Fingerprint { return sha256.Sum256(der) }

// String is the fingerprint as people compare it: AB:CD:…
func (f Fingerprint) String() string {
	return strings.ReplaceAll(fmt.Sprintf("% X", f[:]), " ", ":")
}

// pinMismatch is why a pinned host was not accepted.
type pinMismatch struct{ pinned, shown Fingerprint }

func (e *pinMismatch) Error() string {
	return "the certificate is " + e.shown.String() + ", and " + e.pinned.String() + " is pinned"
}

// special is how TLS differs for the host of u; the zero value for most.
func (t *Transport) special(u *url.URL) HostTLS {
	if t.hostTLS == nil || u.Scheme != "https" {
		return HostTLS{}
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return t.hostTLS(u.Hostname(), port)
}

// apply makes the TLS settings of one host out of those of all.
func (h HostTLS) apply(general *tls.Config) *tls.Config {
	c := general.Clone() // the session cache is shared
	if h == (HostTLS{}) {
		return c
	}
	// A session that was begun under other settings is not to be resumed.
	c.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	if h.Certificate != nil {
		// Whatever authorities the server names: it was configured for this one.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return h.Certificate, nil }
	}
	if h.Pin != nil {
		// In place of the usual checks there is one that is stricter. No session
		// is resumed, in which the server would show no certificate.
		c.InsecureSkipVerify, c.ClientSessionCache = true, nil
		c.VerifyConnection = func(state tls.ConnectionState) error {
			shown := FingerprintOf(state.PeerCertificates[0].Raw)
			if shown == *h.Pin {
				return nil
			}
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: &pinMismatch{pinned: *h.Pin, shown: shown}}
		}
	}
	return c
}
