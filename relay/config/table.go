package config

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Option is one row of the table of options.
type Option struct {
	Key     string // of the flag (--key) and of the file
	Type    string // as shown to a person: text, path, URL, list, duration, size, number
	Default string // as text; empty where Help says what then happens
	Secret  bool   // its value is never shown
	EnvOnly bool   // neither a flag nor a key of the file
	Help    string // one line

	set func(c *Config, value string) error
}

// Env is the name of the option's environment twin.
func (o Option) Env() string {
	return "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(o.Key, "-", "_"))
}

// Table is every option of the relay, in the order in which help shows them.
func Table() []Option {
	return []Option{
		{Key: "listen", Type: "address", Default: "127.0.0.1:8080",
			Help: "HOST:PORT on which browsers, API clients and agents are served",
			set:  text(func(c *Config) *string { return &c.Listen })},
		{Key: "public-url", Type: "URL",
			Help: "address under which browsers and agents reach this relay; by default the listener's own, where that is loopback",
			set:  setPublicURL},
		{Key: "data", Type: "path", Default: "./data",
			Help: "directory of the database and the keyset; made if absent",
			set:  text(func(c *Config) *string { return &c.Data })},
		{Key: "database", Type: "URL", Secret: true,
			Help: "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME; by default sallyport.db in the data directory",
			set:  setDatabase},
		{Key: "keyset", Type: "path",
			Help: "file of the keys that seal secrets at rest; by default keyset.json in the data directory, made at first start",
			set:  text(func(c *Config) *string { return &c.Keyset })},
		{Key: "downloads", Type: "path",
			Help: "directory of the agent's programs that /downloads/ serves; by default downloads in the data directory, beside this program, or of the package sallyport-relay-downloads",
			set:  text(func(c *Config) *string { return &c.Downloads })},
		{Key: "tls-cert", Type: "path",
			Help: "PEM file of the certificate chain, to serve HTTPS without a proxy in front",
			set:  text(func(c *Config) *string { return &c.TLSCert })},
		{Key: "tls-key", Type: "path",
			Help: "PEM file of the certificate's private key",
			set:  text(func(c *Config) *string { return &c.TLSKey })},
		{Key: "allow-private-targets", Type: "list",
			Help: "addresses that cloud mode may reach although they are not public: IP, CIDR, loopback or private",
			set:  list(func(c *Config) *[]string { return &c.AllowPrivate })},
		{Key: "trusted-proxies", Type: "list",
			Help: "IP or CIDR of reverse proxies whose X-Forwarded-For is believed",
			set:  setTrustedProxies},
		{Key: "metrics-listen", Type: "address",
			Help: "HOST:PORT of a listener of its own for /metrics; by default /metrics is on the main listener",
			set:  text(func(c *Config) *string { return &c.MetricsListen })},
		{Key: "peer-listen", Type: "address",
			Help: "HOST:PORT on which other relays that share the database (PostgreSQL only) send requests for agents that are connected to this one, over TLS of their own; by default they can't",
			set:  text(func(c *Config) *string { return &c.PeerListen })},
		{Key: "peer-address", Type: "address",
			Help: "HOST:PORT at which those other relays reach peer-listen; by default peer-listen itself, where that names a host",
			set:  text(func(c *Config) *string { return &c.PeerAddress })},
		{Key: "drain-delay", Type: "duration", Default: "0s",
			Help: "how long a stopping relay says on /readyz that it stops, and serves all the same, so that a load balancer turns to another one",
			set:  duration(longestDrain, func(c *Config) *time.Duration { return &c.DrainDelay })},
		{Key: "drain-timeout", Type: "duration", Default: "20s",
			Help: "how long a stopping relay waits for requests under way",
			set:  duration(longestDrain, func(c *Config) *time.Duration { return &c.DrainTimeout })},
		{Key: "agent-wait", Type: "duration", Default: "15s",
			Help: "how long a request is held whose agent is away and was seen within the last minute; 0 to fail at once",
			set:  duration(longestAgentWait, func(c *Config) *time.Duration { return &c.AgentWait })},
		{Key: "max-request-body", Type: "size", Default: "10GiB",
			Help: "longest body of a request through a connection, such as 500MB or 2GiB; 0 for no limit",
			set:  setMaxRequestBody},
		{Key: "connects-per-address", Type: "number", Default: "100",
			Help: "how many agents of one address may connect each second without proving who they are, and ten times as many at once; 0 for no limit",
			set:  setConnectsPerAddress},
		{Key: "smtp-url", Type: "URL", Secret: true,
			Help: "mail server for notices, smtp://USER:PASSWORD@HOST:PORT or smtps://…; over smtp, STARTTLS is required unless the server is on this machine, or ?tls=opportunistic or ?tls=none says otherwise; by default no e-mail is sent",
			set:  setSMTP},
		{Key: "mail-from", Type: "text",
			Help: "sender of that e-mail, such as Sallyport <relay@example.com>",
			set:  setMailFrom},
		{Key: "log-level", Type: "word", Default: "info",
			Help: "debug, info, warn or error",
			set:  oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
		{Key: "log-format", Type: "word", Default: "console",
			Help: "console or json",
			set:  oneOf(func(c *Config) *string { return &c.LogFormat }, "console", "json")},
		{Key: "bootstrap-token", Type: "text", Secret: true, EnvOnly: true,
			Help: "at first start, makes an administrator's API token of this value, in place of the sign-in link",
			set:  text(func(c *Config) *string { return &c.BootstrapToken })},
	}
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		*field(c) = value
		return nil
	}
}

func list(field func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, value string) error {
		*field(c) = split(value)
		return nil
	}
}

func oneOf(field func(*Config) *string, words ...string) func(*Config, string) error {
	return func(c *Config, value string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("%q is none of %s", value, strings.Join(words, ", "))
		}
		*field(c) = value
		return nil
	}
}

func setPublicURL(c *Config, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%q is not an absolute http or https URL", value)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("%q: only scheme, host and port; the relay is served at the root of its host", value)
	}
	c.PublicURL = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}

func setDatabase(c *Config, value string) error {
	if value == "" {
		return nil
	}
	scheme, _, found := strings.Cut(value, ":")
	if !found || !slices.Contains([]string{"sqlite", "postgres", "postgresql"}, scheme) {
		return fmt.Errorf("want sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME") // the value may hold a password
	}
	c.Database = value
	return nil
}

func setTrustedProxies(c *Config, value string) error {
	var prefixes []netip.Prefix
	for _, part := range split(value) {
		if ip, err := netip.ParseAddr(part); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return fmt.Errorf("%q is neither an IP address nor a CIDR range", part)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	c.TrustProxies = prefixes
	return nil
}

// duration takes none to most.
func duration(most time.Duration, field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration such as 20s or 1m", value)
		}
		if d > most {
			return fmt.Errorf("%q is more than %s, the most that it may be", value, most)
		}
		*field(c) = d
		return nil
	}
}

// longestDrain is the most that drain-delay and drain-timeout may be: nobody means
// a relay that takes longer than a day to stop.
const longestDrain = 24 * time.Hour

// longestAgentWait is the most that agent-wait may be: what is held longer
// holds memory, and mostly has no caller any more.
const longestAgentWait = 5 * time.Minute

func setMaxRequestBody(c *Config, value string) error {
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size such as 500MB or 2GiB", value)
	}
	c.MaxRequestBody = int64(n)
	return nil
}

func setConnectsPerAddress(c *Config, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 1_000_000 {
		return fmt.Errorf("%q is not a number from 0 to 1000000", value)
	}
	c.ConnectsPerAddress = n
	return nil
}

// split takes a comma-separated list apart; empty parts are passed over.
func split(value string) []string {
	var parts []string
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
