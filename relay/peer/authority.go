package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

const (
	// authorityLives is how long the authority's own certificate is good. What
	// ends its power is that its row is removed from the store.
	authorityLives = 30 * 365 * 24 * time.Hour
	// certificateLives is how long a relay's certificate is good, from the moment
	// of its issue; renewBefore is how much of that is left when the next one is
	// issued.
	certificateLives = 24 * time.Hour
	renewBefore      = certificateLives / 2
	// clocksApart is by how much the clocks of two relays may differ.
	clocksApart = time.Hour
)

// authority issues the certificates by which relays know each other. All that
// share a store have the same one, so that each can issue its own.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pool        *x509.CertPool
}

// sealedAuthority is how an authority is kept, sealed.
type sealedAuthority struct {
	Key         []byte `json:"key"`         // PKCS #8
	Certificate []byte `json:"certificate"` // DER
}

// newAuthority makes an authority, in the form that is kept.
func newAuthority(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority of the relays: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Sallyport relays"},
		NotBefore:    now.Add(-clocksApart), NotAfter: now.Add(authorityLives),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority of the relays: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the authority of the relays: %w", err)
	}
	return json.Marshal(sealedAuthority{Key: private, Certificate: certificate})
}

// openAuthority reads what newAuthority made.
func openAuthority(kept []byte) (*authority, error) {
	var s sealedAuthority
	if err := json.Unmarshal(kept, &s); err != nil {
		return nil, fmt.Errorf("read the authority of the relays: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	if err != nil {
		return nil, fmt.Errorf("read the authority of the relays: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("read the authority of the relays: its key is of another kind")
	}
	certificate, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, fmt.Errorf("read the authority of the relays: %w", err)
	}
	a := &authority{key: private, certificate: certificate, pool: x509.NewCertPool()}
	a.pool.AddCert(certificate)
	return a, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return serial, nil
}

// The URI in a relay's certificate that says which relay it is.
const (
	uriScheme = "sallyport"
	uriHost   = "relay"
)

func relayURI(relayID string) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: uriHost, Path: "/" + relayID}
}

// relayOf is the relay that a certificate is of; "": of none.
func relayOf(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if u.Scheme == uriScheme && u.Host == uriHost && len(u.Path) > 1 {
			return u.Path[1:]
		}
	}
	return ""
}
