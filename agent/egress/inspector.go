package egress

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// inspectors are products that open TLS connections on their way and sign them
// anew, by what the names of their authorities hold in lower case.
var inspectors = []struct{ part, product string }{
	{"mitmproxy", "mitmproxy"},
	{"zscaler", "Zscaler"},
	{"netskope", "Netskope"},
	{"goskope", "Netskope"},
	{"fortinet", "Fortinet FortiGate"},
	{"fortigate", "Fortinet FortiGate"},
	{"palo alto", "Palo Alto Networks"},
	{"blue coat", "Symantec (Blue Coat) ProxySG"},
	{"bluecoat", "Symantec (Blue Coat) ProxySG"},
	{"cisco umbrella", "Cisco Umbrella"},
	{"ironport", "Cisco Secure Web Appliance"},
	{"forcepoint", "Forcepoint"},
	{"websense", "Forcepoint"},
	{"mcafee web gateway", "Skyhigh (McAfee) Web Gateway"},
	{"skyhigh", "Skyhigh (McAfee) Web Gateway"},
	{"check point", "Check Point"},
	{"sophos", "Sophos"},
	{"barracuda", "Barracuda"},
	{"sonicwall", "SonicWall"},
	{"watchguard", "WatchGuard"},
	{"untangle", "Untangle"},
	{"trend micro", "Trend Micro"},
	{"iboss", "iboss"},
	{"cloudflare gateway", "Cloudflare Gateway"},
	{"menlo security", "Menlo Security"},
	{"securly", "Securly"},
	{"smoothwall", "Smoothwall"},
	{"kaspersky", "Kaspersky"},
	{"eset ssl filter", "ESET"},
	{"avast", "Avast"},
	{"bitdefender", "Bitdefender"},
	{"squid", "squid"},
	{"charles proxy", "Charles"},
	{"do_not_trust_fiddler", "Fiddler"},
	{"portswigger", "Burp Suite"},
}

// Inspector is the product that opens TLS connections on their way and issues
// certificates in this one's issuer's name; "" where it is none of those known.
func Inspector(cert *x509.Certificate) string {
	issuer := strings.ToLower(cert.Issuer.String())
	for _, known := range inspectors {
		if strings.Contains(issuer, known.part) {
			return known.product
		}
	}
	return ""
}

// leaf is the certificate of the server itself.
func leaf(err error, authority x509.UnknownAuthorityError) *x509.Certificate {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
		return verify.UnverifiedCertificates[0]
	}
	return authority.Cert
}

// distrust says whose certificate is not trusted, and what to do about it.
func (e *DialError) distrust(host string, cert *x509.Certificate) (text, remedy string) {
	const name = "in caFile (--ca-file)"
	if cert == nil {
		return fmt.Sprintf("the certificate of %s was issued by an unknown authority, which this machine does not trust", host),
			"name the authority " + name
	}
	e.Issuer, e.Inspector = cert.Issuer.String(), Inspector(cert)
	switch {
	case e.Inspector != "":
		return fmt.Sprintf("the certificate of %s was issued by %q, which this machine does not trust: that is %s, which opens TLS connections on their way", host, e.Issuer, e.Inspector),
			"ask the network team for the certificate of its authority, and name that file " + name + "; or ask them to let connections to this host pass unopened"
	case bytes.Equal(cert.RawIssuer, cert.RawSubject):
		return fmt.Sprintf("the certificate of %s is signed by itself (%q), and this machine does not trust it", host, e.Issuer),
			"if it is your relay's, name it " + name
	}
	return fmt.Sprintf("the certificate of %s was issued by %q, which this machine does not trust", host, e.Issuer),
		"if that is the authority of your relay, or of a proxy that inspects TLS, name it " + name
}
