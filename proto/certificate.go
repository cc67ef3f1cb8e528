package proto

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Certificate is what is worth telling of a target's certificate, as it was
// shown where the request ran.
type Certificate struct {
	Fingerprint string    `json:"fingerprint"` // SHA-256 of its DER encoding, in hex
	Subject     string    `json:"subject"`     // common name, or else the first DNS name
	Issuer      string    `json:"issuer"`      // common name, or else the organisation
	NotAfter    time.Time `json:"notAfter"`
}

// maxCertificateName bounds the names, in bytes: they travel in a header field.
const maxCertificateName = 100

// CertificateOf tells of the certificate.
func CertificateOf(c *x509.Certificate) *Certificate {
	sum := sha256.Sum256(c.Raw)
	out := &Certificate{Fingerprint: hex.EncodeToString(sum[:]), Subject: c.Subject.CommonName, Issuer: c.Issuer.CommonName, NotAfter: c.NotAfter.UTC()}
	if out.Subject == "" && len(c.DNSNames) > 0 {
		out.Subject = c.DNSNames[0]
	}
	if out.Issuer == "" && len(c.Issuer.Organization) > 0 {
		out.Issuer = c.Issuer.Organization[0]
	}
	out.Subject, out.Issuer = shortName(out.Subject), shortName(out.Issuer)
	return out
}

func shortName(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxCertificateName)], "")
}

// format writes c as the value of the key certificate of HeaderTiming:
// fingerprint, the Unix time of its end, subject and issuer, with colons between
// them, names escaped as in a URL's query.
func (c *Certificate) format() string {
	return c.Fingerprint + ":" + strconv.FormatInt(c.NotAfter.Unix(), 10) + ":" + url.QueryEscape(c.Subject) + ":" + url.QueryEscape(c.Issuer)
}

// parseCertificate reads what format wrote; nil where it is something else,
// which is no reason to lose the rest.
func parseCertificate(s string) *Certificate {
	parts := strings.Split(s, ":")
	if len(parts) < 4 {
		return nil
	}
	ends, err := strconv.ParseInt(parts[1], 10, 64)
	subject, badSubject := url.QueryUnescape(parts[2])
	issuer, badIssuer := url.QueryUnescape(parts[3])
	if err != nil || badSubject != nil || badIssuer != nil {
		return nil
	}
	return &Certificate{Fingerprint: parts[0], NotAfter: time.Unix(ends, 0).UTC(), Subject: subject, Issuer: issuer}
}
