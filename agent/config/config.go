// Package config is what the site's admin decides for an agent: agent.yaml, its
// environment twins and flags (this file, load.go and parse.go), and what
// enrolment settled once: the identity file with the agent's key (identity.go).
//
// A file is taken whole or not at all: a key that does not exist, or a value
// that may not stand where it does, makes it faulty (faults.go). Package cli
// reads both, package reload the file anew when it has changed. The package
// opens no connection and starts nothing.
package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/net/http/httpproxy"
)

// Config is agent.yaml. Example documents each key.
type Config struct {
	Relay               string              `yaml:"relay"`
	DataDir             string              `yaml:"dataDir"`
	CAFile              string              `yaml:"caFile"`
	AllowPlaintextRelay bool                `yaml:"allowPlaintextRelay"`
	Proxy               string              `yaml:"proxy"`
	ProxyUser           string              `yaml:"proxyUser"`
	ProxyPasswordFile   string              `yaml:"proxyPasswordFile"`
	ProxyKeytab         string              `yaml:"proxyKeytab"`
	ProxyDomain         string              `yaml:"proxyDomain"`
	ProxyCAFile         string              `yaml:"proxyCaFile"`
	TargetProxy         string              `yaml:"targetProxy"`
	TargetCAFile        string              `yaml:"targetCaFile"`
	TargetCAFiles       []string            `yaml:"targetCaFiles"`
	ClientCertificates  []ClientCertificate `yaml:"clientCertificates"`
	MaxRequestBody      string              `yaml:"maxRequestBody"`
	LogLevel            string              `yaml:"logLevel"`
	LogFormat           string              `yaml:"logFormat"`
	LogFile             string              `yaml:"logFile"`
	LogMaxSize          string              `yaml:"logMaxSize"`
	LogMaxFiles         string              `yaml:"logMaxFiles"`
	LogMaxAge           string              `yaml:"logMaxAge"`
	RemoteLogs          bool                `yaml:"remoteLogs"`
	LedgerMaxSize       string              `yaml:"ledgerMaxSize"`
	LedgerMaxFiles      string              `yaml:"ledgerMaxFiles"`
	LedgerMaxAge        string              `yaml:"ledgerMaxAge"`
	StatusListen        string              `yaml:"statusListen"`
	Policy              Policy              `yaml:"policy"`
	Secrets             Secrets             `yaml:"secrets"`
	Vault               Vault               `yaml:"vault"`
}

// Example is an agent.yaml with every key, its meaning and its default.
const Example = `# Configuration of sallyport-agent. Every key may be left out. A flag wins over
# the environment (SALLYPORT_RELAY for relay, and so on), which wins over this file.

# The relay's URL. Default: the one that the machine was enrolled with.
# relay: https://relay.example.com

# Where the agent keeps its identity and its state. Default: the --data flag.
# dataDir: /var/lib/sallyport-agent

# A PEM file of authorities to trust for the relay, besides the system's: for a
# private relay, or a proxy that inspects TLS. Default: the one given to enroll.
# caFile: /etc/ssl/company-ca.pem

# Connect to a relay without TLS. Everything that goes through the tunnel can
# then be read on the way. Loopback needs no leave.
allowPlaintextRelay: false

# The proxy on the way to the relay: "system" (HTTPS_PROXY and NO_PROXY of the
# environment; where there are none, the settings of Windows or macOS),
# "environment" (those alone), "none", or a URL (http, https or socks5).
proxy: system

# Who logs in at that proxy, as name, DOMAIN\name or name@domain. It is used with
# the strongest scheme that the proxy offers: Negotiate, NTLM, Digest or Basic.
# proxyUser: svc-sallyport

# A file with the password on its first line, readable by the agent's user only.
# It is read at each login.
# proxyPasswordFile: /etc/sallyport-agent/proxy-password

# A file with the keys of that user for Kerberos, in place of a password. Without
# a proxyUser, the tickets of the agent's own user are shown; on Windows, those of
# the account that the service runs as.
# proxyKeytab: /etc/sallyport-agent/proxy.keytab

# The domain of that user for NTLM, and its realm for Kerberos.
# proxyDomain: CORP

# A PEM file of authorities to trust for an https:// proxy itself, besides the
# system's. Default: that of caFile.
# proxyCaFile: /etc/ssl/company-ca.pem

# The proxy on the way to applications: "none", "environment" or a URL.
targetProxy: none

# A PEM file of authorities to trust for applications, besides the system's.
# targetCaFile: /etc/ssl/plant-ca.pem

# More such files. A single certificate that nobody vouches for is pinned by
# "sallyport-agent trust URL" instead.
# targetCaFiles: [/etc/ssl/lab-ca.pem, /etc/ssl/branch-ca.pem]

# Certificates that the agent shows to applications which ask for one, by host: a
# name, *.names or an address, with :PORT where only that is meant. Keys are in
# files readable by the agent's user only; after a change run "reload".
clientCertificates:
  # - host: erp.plant2.internal
  #   certFile: /etc/sallyport-agent/erp.pem
  #   keyFile: /etc/sallyport-agent/erp.key
  # - host: "*.lab.plant2.internal"
  #   pfxFile: /etc/sallyport-agent/lab.pfx
  #   passwordFile: /etc/sallyport-agent/lab.password

# The longest body of a request that is sent on to an application, such as 500MB
# or 2GiB. What is longer is refused. Default: no limit but the relay's own.
# maxRequestBody: 2GiB

# debug, info, warn or error.
logLevel: info

# json or console.
logFormat: json

# A file for the log, besides standard error, or "none". Default: agent.log in the
# data directory where the agent is a service and nothing else keeps what it
# writes (Windows, macOS); with systemd the journal has it.
# logFile: /var/log/sallyport-agent.log

# When that file has so many bytes it is set aside, how many of those are kept,
# and for how long. What goes first, goes.
logMaxSize: 10MiB
logMaxFiles: 5
logMaxAge: 30d

# Let people who may edit the agent at the relay read this log while it is
# written, in the relay's pages. Passwords, tokens and the like are hidden before
# it leaves this machine; names and addresses of your network are not.
remoteLogs: false

# The same for the ledger, in which every request stands that the relay sends
# through this agent.
ledgerMaxSize: 10MiB
ledgerMaxFiles: 20
ledgerMaxAge: 90d

# Where other programs of this machine find /healthz and /metrics, such as
# 127.0.0.1:9131. Loopback only. Default: nowhere.
# statusListen: 127.0.0.1:9131

# What the relay may reach through this agent. Without rules: all that this
# machine can reach, but for link-local and cloud metadata addresses.
policy:
  # Rules are read from the top, and the first that matches decides:
  #   allow|deny METHODS SCHEME://HOST:PORTS/PATH [rate=50/s] [body=10MB]
  # "sallyport-agent policy suggest" writes them from what was sent up to now.
  # rules:
  #   - allow GET,POST https://erp.plant2.internal:8443/api/** rate=50/s body=10MB
  #   - deny * *://10.0.0.0/8:22
  # What becomes of what no rule matches. Default: deny as soon as there is one
  # allow rule, else allow.
  # default: deny

# Secrets that never leave this site. A connection uses one as
# {{agent.secret.NAME}}; its value is filled in here, and the relay never has it.
# A name has letters, digits, "_", "-" and ".".
secrets:
  # Exactly one of these says where the value comes from:
  #   file:    readable by the agent's user only (mode 0600); read anew after 10s
  #   env:     a variable of the agent's own environment
  #   command: a program and its arguments, without a shell; what it prints
  #   vault:   see below: mount (default: secret), path, field (default: value)
  # hosts: where it may be sent: names, *.names, addresses, each with :PORT where
  # only that is meant. Without it: to any host that the policy allows, which the
  # relay chooses.
  # keepFor: how long a value is used again. Default: 1m for command and vault.
  # timeout: how long a command may take. Default: 10s.
  # erp-password:
  #   file: /etc/sallyport-agent/erp-password
  #   hosts: [erp.plant2.internal]
  # wms-key:
  #   command: [/usr/local/bin/wms-key, --site, plant2]
  #   hosts: ["wms.plant2.internal:8443"]
  # lims:
  #   vault: {path: plant2/lims, field: password}
  #   hosts: ["*.lab.plant2.internal"]

# HashiCorp Vault, for secrets with vault: key-value engines of version 2.
vault:
  # address: https://vault.plant2.internal:8200
  # A file with a token (mode 0600), read at each use; or the role id of an AppRole
  # and a file with its secret id (appRoleMount: where it is mounted, if elsewhere).
  # tokenFile: /run/vault-agent/token
  # roleId: 0a1b2c3d-…
  # secretIdFile: /etc/sallyport-agent/vault-secret-id
  # appRoleMount: approle
  # namespace: plant2
  # A PEM file of authorities to trust for Vault, besides the system's.
  # caFile: /etc/ssl/plant-ca.pem
`

// Defaults are the values of keys that nobody set.
func Defaults() Config {
	return Config{
		Proxy: "system", TargetProxy: "none", LogLevel: "info", LogFormat: "json",
		LogMaxSize: "10MiB", LogMaxFiles: "5", LogMaxAge: "30d",
		LedgerMaxSize: "10MiB", LedgerMaxFiles: "20", LedgerMaxAge: "90d",
	}
}

// RequestBodyLimit is the longest body of a request in bytes; 0 for no limit.
func (c Config) RequestBodyLimit() (int64, error) {
	n, err := parseSize(c.MaxRequestBody)
	if err != nil {
		return 0, fmt.Errorf("maxRequestBody: %w", err)
	}
	return n, nil
}

// parseSize reads a number of bytes; 0 for none.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size such as 500MB or 2GiB", shown(text))
	}
	return int64(n), nil
}

// RequestProxy is the proxy setting for applications, nil for none.
func (c Config) RequestProxy() (func(*http.Request) (*url.URL, error), error) {
	choose, err := proxyFunc(c.TargetProxy)
	if err != nil {
		return nil, fmt.Errorf("targetProxy: %w", err)
	}
	if c.TargetProxy == "none" || c.TargetProxy == "" {
		return nil, nil
	}
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }, nil
}

func proxyFunc(value string) (func(*url.URL) (*url.URL, error), error) {
	switch value {
	case "", "none":
		return func(*url.URL) (*url.URL, error) { return nil, nil }, nil
	case "environment":
		return httpproxy.FromEnvironment().ProxyFunc(), nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		// The value is not quoted: it may hold a password.
		return nil, errors.New(`expected "none", "environment" or a URL that begins with http://, https:// or socks5://`)
	}
	return func(*url.URL) (*url.URL, error) { return u, nil }, nil
}

// TargetAuthorities are those trusted for applications; nil means the system's.
func (c Config) TargetAuthorities() (*x509.CertPool, error) {
	var pool *x509.CertPool
	var err error
	if c.TargetCAFile != "" {
		if pool, err = withAuthorities(nil, "targetCaFile", c.TargetCAFile); err != nil {
			return nil, err
		}
	}
	for _, file := range c.TargetCAFiles {
		if pool, err = withAuthorities(pool, "targetCaFiles", file); err != nil {
			return nil, err
		}
	}
	return pool, nil
}

// ClientCertificate is a certificate that is shown to a host: certFile and
// keyFile (PEM), or pfxFile (PKCS #12) and the file of its password.
type ClientCertificate struct {
	Host         string `yaml:"host"`
	CertFile     string `yaml:"certFile,omitempty"`
	KeyFile      string `yaml:"keyFile,omitempty"`
	PFXFile      string `yaml:"pfxFile,omitempty"`
	PasswordFile string `yaml:"passwordFile,omitempty"`
}

// withAuthorities is pool with those of a PEM file; nil stands for the system's.
func withAuthorities(pool *x509.CertPool, key, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if pool == nil {
		if pool, err = x509.SystemCertPool(); err != nil { // a machine without any: then these alone
			pool = x509.NewCertPool()
		}
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form (lines from BEGIN CERTIFICATE to END CERTIFICATE)", key, file)
	}
	return pool, nil
}

// ParseRelay reads a relay's URL as a person writes it.
func ParseRelay(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("the relay's URL %q can't be read: write it like https://relay.example.com", text)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the relay's URL %q is not of the form https://relay.example.com", u.Redacted())
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}
