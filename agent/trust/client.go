package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"sallyport/agent/hostpattern"
	"sallyport/agent/private"
)

// Client is a client certificate, and the hosts that it is shown to. Either
// CertFile and KeyFile (PEM), or PFXFile, with PasswordFile where it has a
// password.
type Client struct {
	Host         string // a pattern; see package hostpattern
	CertFile     string // the certificate, and those between it and its authority
	KeyFile      string
	PFXFile      string // PKCS #12
	PasswordFile string
}

// clientCertificate is one that was read.
type clientCertificate struct {
	host hostpattern.Pattern
	cert *tls.Certificate
}

// read reads the files.
func (c Client) read() (clientCertificate, error) {
	host, err := hostpattern.Parse(c.Host)
	if err != nil {
		return clientCertificate{}, fmt.Errorf("host: %w", err)
	}
	var cert tls.Certificate
	switch {
	case c.PFXFile != "" && (c.CertFile != "" || c.KeyFile != ""), c.PFXFile == "" && (c.CertFile == "" || c.KeyFile == ""):
		return clientCertificate{}, errors.New("expected either certFile and keyFile, or pfxFile")
	case c.PFXFile == "" && c.PasswordFile != "":
		return clientCertificate{}, errors.New("passwordFile is for a pfxFile: the key of a PEM file has to be without a password")
	case c.PFXFile != "":
		cert, err = c.readPFX()
	default:
		cert, err = c.readPEM()
	}
	return clientCertificate{host, &cert}, err
}

func (c Client) readPEM() (tls.Certificate, error) {
	certs, err := os.ReadFile(c.CertFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certFile: %w", err)
	}
	key, err := private.Read(c.KeyFile, maxKeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("keyFile: %w", err)
	}
	if strings.Contains(key, "ENCRYPTED") {
		return tls.Certificate{}, fmt.Errorf("keyFile: the key in %s has a password: take it off (openssl pkey), or use a pfxFile with passwordFile", c.KeyFile)
	}
	cert, err := tls.X509KeyPair(certs, []byte(key))
	if err != nil { // its texts name what is missing, and quote nothing
		return tls.Certificate{}, fmt.Errorf("certFile and keyFile: %w", err)
	}
	return cert, nil
}

// maxKeyFile is the longest file of a key, in bytes.
const maxKeyFile = 1 << 20

func (c Client) readPFX() (tls.Certificate, error) {
	content, err := private.Read(c.PFXFile, maxKeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pfxFile: %w", err)
	}
	password := ""
	if c.PasswordFile != "" {
		if password, err = private.Read(c.PasswordFile, maxKeyFile); err != nil {
			return tls.Certificate{}, fmt.Errorf("passwordFile: %w", err)
		}
		password = private.WithoutLineBreak(password)
	}
	key, leaf, authorities, err := pkcs12.DecodeChain([]byte(content), password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return tls.Certificate{}, fmt.Errorf("pfxFile: the password of %s is another one: correct passwordFile", c.PFXFile)
	case err != nil:
		return tls.Certificate{}, fmt.Errorf("pfxFile: %s: %w", c.PFXFile, err)
	}
	// By way of PEM, so that key and certificate are held to each other.
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	for _, a := range authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pfxFile: the key in %s can't be used: %w", c.PFXFile, err)
	}
	cert, err := tls.X509KeyPair(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pfxFile: %s: %w", c.PFXFile, err)
	}
	return cert, nil
}
