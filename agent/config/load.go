package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
)

// FileName is agent.yaml's name within the data directory, where it is read
// from if no other file is named.
const FileName = "agent.yaml"

// Option is one key of agent.yaml with its flag and environment twins, where it
// has any.
type Option struct {
	Key, Flag, Env string
	Help           string
	Bool           bool
}

// Options are all keys, in the order in which help shows them.
func Options() []Option {
	return []Option{
		{"relay", "relay", "SALLYPORT_RELAY", "the relay's URL", false},
		{"dataDir", "data", "SALLYPORT_DATA", "where the agent keeps its identity and state", false},
		{"caFile", "ca-file", "SALLYPORT_CA_FILE", "PEM file of further authorities to trust for the relay", false},
		{"allowPlaintextRelay", "allow-plaintext-relay", "SALLYPORT_ALLOW_PLAINTEXT_RELAY", "connect to a relay without TLS", true},
		{"proxy", "proxy", "SALLYPORT_PROXY", "proxy to the relay: system, environment, none or a URL", false},
		{"proxyUser", "proxy-user", "SALLYPORT_PROXY_USER", "who logs in at that proxy", false},
		{"proxyPasswordFile", "proxy-password-file", "SALLYPORT_PROXY_PASSWORD_FILE", "file with the password for that proxy", false},
		{"proxyKeytab", "proxy-keytab", "SALLYPORT_PROXY_KEYTAB", "file with the Kerberos keys for that proxy", false},
		{"proxyDomain", "proxy-domain", "SALLYPORT_PROXY_DOMAIN", "domain of that user", false},
		{"proxyCaFile", "proxy-ca-file", "SALLYPORT_PROXY_CA_FILE", "PEM file of further authorities to trust for an https proxy itself", false},
		{"targetProxy", "target-proxy", "SALLYPORT_TARGET_PROXY", "proxy to applications: none, environment or a URL", false},
		{"targetCaFile", "target-ca-file", "SALLYPORT_TARGET_CA_FILE", "PEM file of further authorities to trust for applications", false},
		{"maxRequestBody", "max-request-body", "SALLYPORT_MAX_REQUEST_BODY", "longest body of a request that is sent on, such as 2GiB", false},
		{"logLevel", "log-level", "SALLYPORT_LOG_LEVEL", "debug, info, warn or error", false},
		{"logFormat", "log-format", "SALLYPORT_LOG_FORMAT", "json or console", false},
		{"logFile", "log-file", "SALLYPORT_LOG_FILE", "file for the log, besides standard error, or none", false},
		{"logMaxSize", "log-max-size", "SALLYPORT_LOG_MAX_SIZE", "bytes after which the log's file is set aside", false},
		{"logMaxFiles", "log-max-files", "SALLYPORT_LOG_MAX_FILES", "how many of those are kept", false},
		{"logMaxAge", "log-max-age", "SALLYPORT_LOG_MAX_AGE", "and for how long, such as 30d", false},
		{"remoteLogs", "remote-logs", "SALLYPORT_REMOTE_LOGS", "let the relay's editors read the log while it is written", true},
		{"ledgerMaxSize", "ledger-max-size", "SALLYPORT_LEDGER_MAX_SIZE", "bytes after which the ledger's file is set aside", false},
		{"ledgerMaxFiles", "ledger-max-files", "SALLYPORT_LEDGER_MAX_FILES", "how many of those are kept", false},
		{"ledgerMaxAge", "ledger-max-age", "SALLYPORT_LEDGER_MAX_AGE", "and for how long, such as 90d", false},
		{"statusListen", "status-listen", "SALLYPORT_STATUS_LISTEN", "loopback address for /healthz and /metrics", false},
		{Key: "policy"}, // this and what follows: of the file alone
		{Key: "targetCaFiles"},
		{Key: "clientCertificates"},
		{Key: "secrets"},
		{Key: "vault"},
	}
}

// Sources are where the values come from.
type Sources struct {
	File  string                      // named by the user: it must exist; "": FileName in the data directory, if any
	Flags map[string]string           // flags that were given, by Option.Flag
	Env   func(string) (string, bool) // like os.LookupEnv
}

// Load puts the configuration together: flag, then environment, then file, then
// default.
func Load(s Sources) (Config, error) {
	c, _, err := s.load()
	return c, err
}

// load is Load, and says of each key who set it; it has no entry for a default.
func (s Sources) load() (Config, map[string]string, error) {
	if err := s.refusePasswords(); err != nil {
		return Config{}, nil, err
	}
	c, from := Defaults(), map[string]string{}
	if path := s.Path(); path != "" {
		lines, err := c.readFile(path)
		if err != nil {
			return Config{}, nil, err
		}
		for key, line := range lines {
			from[key] = fmt.Sprintf("%s:%d", path, line)
		}
	}
	for _, o := range Options() {
		if o.Flag == "" {
			continue
		}
		if value, ok := s.given(o.Flag, o.Env); ok {
			if err := c.set(o, value); err != nil {
				return Config{}, nil, err
			}
			from[o.Key] = s.giver(o)
		}
	}
	return c, from, nil
}

// giver names the flag or variable that sets a value.
func (s Sources) giver(o Option) string {
	if _, flag := s.Flags[o.Flag]; flag {
		return "--" + o.Flag
	}
	return o.Env
}

// refusePasswords refuses those on a command line, which every user of the
// machine can read.
func (s Sources) refusePasswords() error {
	for _, name := range []string{"proxy", "target-proxy"} {
		u, err := url.Parse(s.Flags[name])
		if err != nil || u.User == nil {
			continue
		}
		if _, holds := u.User.Password(); holds {
			return fmt.Errorf("--%s holds a password, and every user of this machine can read a command line: "+
				"set it in the configuration file or the environment", name)
		}
	}
	return nil
}

// Path is the file that is read: the one that was named, or FileName in the
// data directory, where it exists; "" for none.
func (s Sources) Path() string {
	if s.File != "" {
		return s.File
	}
	dir := s.Given("data", "SALLYPORT_DATA")
	if dir == "" {
		return ""
	}
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// Watched is the file whose changes concern a running agent: that of Path, or
// where it would stand; "" where nobody said in which directory.
func (s Sources) Watched() string {
	if dir := s.Given("data", "SALLYPORT_DATA"); s.File == "" && dir != "" {
		return filepath.Join(dir, FileName)
	}
	return s.File
}

// DataDir is the data directory, though the file may be faulty: what can be read
// of it decides. "" where nobody named one.
func (s Sources) DataDir() (string, error) {
	if dir := s.Given("data", "SALLYPORT_DATA"); dir != "" || s.Path() == "" {
		return dir, nil
	}
	c := Defaults()
	if _, err := c.readFile(s.Path()); err != nil && c.DataDir == "" {
		return "", err
	}
	return c.DataDir, nil
}

// Given is the value that a flag or else the environment gives; "" for none.
func (s Sources) Given(flag, env string) string {
	value, _ := s.given(flag, env)
	return value
}

func (s Sources) given(flag, env string) (string, bool) {
	if v, ok := s.Flags[flag]; ok {
		return v, true
	}
	if s.Env == nil {
		return "", false
	}
	return s.Env(env)
}

func (c *Config) readFile(path string) (map[string]int, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines, err := c.parseLines(string(text))
	var faults *Faults
	if errors.As(err, &faults) {
		faults.File = path
	}
	return lines, err
}

// fields are c's fields by their key in the file.
func (c *Config) fields() map[string]reflect.Value { return fieldsOf(reflect.ValueOf(c).Elem()) }

// set takes a value from a flag or the environment.
func (c *Config) set(o Option, value string) error {
	field := c.fields()[o.Key]
	if !o.Bool {
		if err := checkValue(o.Key, value); err != nil {
			return fmt.Errorf("--%s (%s): %w", o.Flag, o.Env, err)
		}
		field.SetString(value)
		return nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return fmt.Errorf("--%s (%s): %q is not true or false", o.Flag, o.Env, value)
	}
	field.SetBool(b)
	return nil
}
