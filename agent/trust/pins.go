package trust

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"sallyport/agent/config"
	"sallyport/internal/outbound"
)

// File is the pins' file within the data directory.
const File = "pins.json"

// Pin is one host with its certificate. All but Host and SHA256 is for people.
type Pin struct {
	Host     string    `json:"host"`   // with its port, as HostOf writes it
	SHA256   string    `json:"sha256"` // of the certificate
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"notAfter"` // does not end the pin
	PinnedAt time.Time `json:"pinnedAt"`
}

// Load reads the pins of a data directory; none where there is no file. A file
// that can't be read is an error: what it pins must not be forgotten.
func Load(dir string) ([]Pin, error) {
	path := filepath.Join(dir, File)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the pinned certificates: %w", err)
	}
	var file struct {
		Pins []Pin `json:"pins"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): restore it, or remove it and trust the hosts anew", path, err)
	}
	for _, p := range file.Pins {
		if _, err := ParseFingerprint(p.SHA256); err != nil || p.Host == "" {
			return nil, fmt.Errorf("%s is damaged (the pin of %q): restore it, or remove it and trust the hosts anew", path, p.Host)
		}
	}
	return file.Pins, nil
}

// Save writes the pins of a data directory.
func Save(dir string, pins []Pin) error {
	place, err := config.Reserve(dir, File)
	if err != nil {
		return err
	}
	defer place.Release()
	slices.SortFunc(pins, func(a, b Pin) int { return strings.Compare(a.Host, b.Host) })
	return place.Write(map[string]any{"pins": pins})
}

// With are the pins with one in the place of its host's former.
func With(pins []Pin, p Pin) []Pin { return append(Without(pins, p.Host), p) }

// Without are the pins but for that of a host.
func Without(pins []Pin, host string) []Pin {
	return slices.DeleteFunc(slices.Clone(pins), func(p Pin) bool { return p.Host == host })
}

// Of is the pin of a host; nil where it has none.
func Of(pins []Pin, host string) *Pin {
	for i := range pins {
		if pins[i].Host == host {
			return &pins[i]
		}
	}
	return nil
}

// NewPin pins a certificate to a host.
func NewPin(host string, cert *x509.Certificate, now time.Time) Pin {
	return Pin{Host: host, SHA256: outbound.FingerprintOf(cert.Raw).String(), Subject: cert.Subject.String(), Issuer: cert.Issuer.String(),
		NotAfter: cert.NotAfter.UTC(), PinnedAt: now.UTC().Truncate(time.Second)}
}

// HostOf is the host and port that a person means by a URL, or by host:port
// alone, in the one form in which pins name it.
func HostOf(text string) (string, error) {
	usual := fmt.Errorf("%q names no host: write it like https://erp.plant2.internal:8443", text)
	raw := strings.TrimSpace(text)
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", usual
	}
	if u.Scheme != "https" {
		return "", fmt.Errorf("%s:// has no certificate: only https has", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return address(u.Hostname(), port), nil
}

// address is a host and port in one form, whatever way the host is spelled.
func address(host, port string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(addr.Unmap().String(), port)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return net.JoinHostPort(host, port)
}

// ParseFingerprint reads a fingerprint as browsers, openssl and this agent show
// it: 64 hexadecimal digits, with colons, blanks or none between them.
func ParseFingerprint(text string) (outbound.Fingerprint, error) {
	var f outbound.Fingerprint
	digits := strings.NewReplacer(":", "", " ", "", "-", "").Replace(text)
	if i := strings.IndexByte(digits, '='); i >= 0 { // openssl's "sha256 Fingerprint="
		digits = digits[i+1:]
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(f) {
		return f, fmt.Errorf("%q is not the SHA-256 fingerprint of a certificate: it has 64 hexadecimal digits", text)
	}
	return outbound.Fingerprint(raw), nil
}
