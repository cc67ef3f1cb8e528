package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"sync"
	"time"
)

// papers is a relay's own certificate, issued by itself in the authority's name
// and renewed when it is shown late in its life, and how it looks at those of
// others.
type papers struct {
	authority *authority
	relayID   string
	clock     func() time.Time

	mu     sync.Mutex // guards the following
	shown  *tls.Certificate
	issued int // how often
}

// own is the relay's certificate, for either end.
func (p *papers) own() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if p.shown != nil && now.Add(renewBefore).Before(p.shown.Leaf.NotAfter) && now.After(p.shown.Leaf.NotBefore) {
		return p.shown, nil
	}
	fresh, err := p.issue(now)
	if err != nil {
		return nil, err
	}
	p.shown = fresh
	p.issued++
	return fresh, nil
}

func (p *papers) issue(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make this relay's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: p.relayID},
		NotBefore:    now.Add(-clocksApart), NotAfter: now.Add(certificateLives),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	template.URIs = append(template.URIs, relayURI(p.relayID))
	der, err := x509.CreateCertificate(rand.Reader, template, p.authority.certificate, key.Public(), p.authority.key)
	if err != nil {
		return nil, fmt.Errorf("issue this relay's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue this relay's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// errNoRelay: a certificate names no relay, or there is none.
var errNoRelay = errors.New("it shows no certificate of a relay")

// strangerError: a relay that is reached is another one than was meant.
type strangerError struct{ got string }

func (e *strangerError) Error() string { return "there is the relay " + e.got + " instead" }

// check looks at what the other end shows, and says which relay it is.
func (p *papers) check(s tls.ConnectionState, usage x509.ExtKeyUsage) (relayID string, err error) {
	if len(s.PeerCertificates) == 0 {
		return "", errNoRelay
	}
	leaf := s.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: p.authority.pool, CurrentTime: p.clock(), KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
		return "", err
	}
	if relayID = relayOf(leaf); relayID == "" {
		return "", errNoRelay
	}
	return relayID, nil
}

// listening is the TLS of the listener: it takes relays of the same authority.
func (p *papers) listening() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.own() },
		ClientAuth:     tls.RequireAnyClientCert, ClientCAs: p.authority.pool,
		SessionTicketsDisabled: true, // each connection is looked at
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := p.check(s, x509.ExtKeyUsageClientAuth)
			return err
		},
	}
}

// dialling is the TLS of a connection that is meant for one relay.
func (p *papers) dialling(relayID string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.own() },
		// The name is that of a relay and not of a host: VerifyConnection sees to
		// both the chain and the name.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			got, err := p.check(s, x509.ExtKeyUsageServerAuth)
			if err == nil && got != relayID {
				err = &strangerError{got}
			}
			return err
		},
	}
}
