package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Seen is the certificate that a host shows.
type Seen struct {
	Host  string // as HostOf writes it
	Chain []*x509.Certificate
	// Refused is why the usual checks do not accept it; nil: they do.
	Refused error
}

// Leaf is the host's own certificate.
func (s *Seen) Leaf() *x509.Certificate { return s.Chain[0] }

// lookTimeout bounds connecting and the handshake together.
const lookTimeout = 20 * time.Second

// errSeen ends the handshake once the certificate is known: nothing is sent to
// somebody who may be anybody.
var errSeen = errors.New("seen")

// Look connects to a host and port, through the proxy that requests to it take
// (nil: none), and gets its certificate. Roots are the authorities that are
// trusted; nil means the system's.
func Look(ctx context.Context, host string, proxy func(*http.Request) (*url.URL, error), roots *x509.CertPool) (*Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	seen := &Seen{Host: host}
	transport := &http.Transport{
		Proxy:       proxy,
		DialContext: (&net.Dialer{}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			// To look at it is what it is for; VerifyConnection never accepts it.
			InsecureSkipVerify: true,
			VerifyConnection: func(state tls.ConnectionState) error {
				seen.Chain = state.PeerCertificates
				seen.Refused = verify(state, roots)
				return errSeen
			},
		},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+host+"/", nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	resp, err := transport.RoundTrip(req)
	if err == nil { // VerifyConnection never lets it come to this
		_ = resp.Body.Close()
	}
	if len(seen.Chain) == 0 {
		if err == nil {
			err = errors.New("it shows no certificate")
		}
		return nil, fmt.Errorf("no certificate of %s can be had: %w", host, err)
	}
	return seen, nil
}

// verify makes the usual checks.
func verify(state tls.ConnectionState, roots *x509.CertPool) error {
	options := x509.VerifyOptions{Roots: roots, DNSName: state.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}
