// Package config reads the relay's options: flags, their environment twins,
// and a YAML file, in that order of precedence, over the defaults of one
// table. Package cli calls it once at start; nothing else reads flags,
// variables or files of options, and nothing here touches the network or
// makes a directory.
package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"sallyport/relay/mail"
)

// Config is the options of one relay, each checked and of its own type.
type Config struct {
	Listen        string   // host:port
	PublicURL     *url.URL // nil: made from the listener's address, see PublicURLFor
	Data          string   // directory
	Database      string   // sqlite:PATH or postgres://…
	Keyset        string   // path
	Downloads     string   // directory; empty: see package download
	LogLevel      string
	LogFormat     string
	AllowPrivate  []string // as internal/outbound.ParseAllow takes it
	TLSCert       string
	TLSKey        string
	MetricsListen string // empty: on the main listener
	PeerListen    string // host:port; empty: other relays can't send requests here
	PeerAddress   string // host:port; empty: the listener's own, see PeerAddressFor
	TrustProxies  []netip.Prefix
	DrainDelay    time.Duration
	DrainTimeout  time.Duration
	AgentWait     time.Duration // 0: requests are not held
	// Mail is the server that e-mail is handed in at; nil: there is none.
	Mail     *mail.Server
	MailFrom string
	// MaxRequestBody is the longest body of a request through a connection, in
	// bytes; 0: no limit.
	MaxRequestBody int64
	// ConnectsPerAddress bounds connects that prove nothing, each second; 0: no limit.
	ConnectsPerAddress int
	// BootstrapToken comes from the environment alone, so that it is never
	// seen in a list of processes or a file under version control.
	BootstrapToken string
}

// check reports what does not go together.
func (c *Config) check() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen %q: want HOST:PORT, such as 127.0.0.1:8080 or :8080", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("tls-cert and tls-key go together: set both, or neither")
	}
	if c.PublicURL == nil && !loopback(host) {
		return fmt.Errorf("public-url is needed when the relay listens on %s: set it to the address under which browsers and agents reach this relay, such as https://relay.example.com", c.Listen)
	}
	if err := c.checkPeers(); err != nil {
		return err
	}
	return c.checkMail()
}

// follow fills what follows from other options.
func (c *Config) follow() {
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, "sallyport.db")
	}
	if c.Keyset == "" {
		c.Keyset = filepath.Join(c.Data, "keyset.json")
	}
}

// PublicURLFor is the address under which browsers and agents reach the relay:
// the one that was set, or the listener's own where that is loopback.
func (c *Config) PublicURLFor(listening net.Addr) *url.URL {
	if c.PublicURL != nil {
		return c.PublicURL
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: listening.String()}
}

// LoopbackOnly reports whether only this machine can reach the main listener.
func (c *Config) LoopbackOnly() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && loopback(host)
}

// loopback reports whether only this machine can reach what listens on host.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
