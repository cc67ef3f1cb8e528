package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
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
		{Key: "policy"}, // of the file alone
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
	if err := s.refusePasswords(); err != nil {
		return Config{}, err
	}
	c := Defaults()
	if path := s.Path(); path != "" {
		if err := c.readFile(path); err != nil {
			return Config{}, err
		}
	}
	for _, o := range Options() {
		if o.Flag == "" {
			continue
		}
		if value, ok := s.given(o.Flag, o.Env); ok {
			if err := c.set(o, value); err != nil {
				return Config{}, err
			}
		}
	}
	return c, nil
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

func (c *Config) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := c.parse(string(text)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// parse reads YAML into c. Unknown keys are refused, with the line and the key
// that was probably meant.
func (c *Config) parse(text string) error {
	var doc yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) { // nothing but comments
			return nil
		}
		return err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document: only one is read")
	}
	top := doc.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil
	}
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: expected keys and values, such as \"logLevel: debug\"", top.Line)
	}
	fields := c.fields()
	seen := map[string]int{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		field, ok := fields[key.Value]
		if !ok {
			return fmt.Errorf("line %d: unknown key %q; did you mean %q?", key.Line, key.Value, nearest(key.Value))
		}
		if first, twice := seen[key.Value]; twice {
			return fmt.Errorf("line %d: key %q stands on line %d already", key.Line, key.Value, first)
		}
		seen[key.Value] = key.Line
		if own, ok := field.Addr().Interface().(yaml.Unmarshaler); ok && value.Tag != "!!null" {
			if err := own.UnmarshalYAML(value); err != nil {
				return err
			}
			continue
		}
		if err := value.Decode(field.Addr().Interface()); err != nil {
			return fmt.Errorf("line %d: %s: expected %s", value.Line, key.Value, map[bool]string{true: "true or false", false: "text"}[field.Kind() == reflect.Bool])
		}
	}
	return nil
}

// fields are c's fields by their key in the file.
func (c *Config) fields() map[string]reflect.Value {
	v := reflect.ValueOf(c).Elem()
	out := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("yaml")] = v.Field(i)
	}
	return out
}

func (c *Config) set(o Option, value string) error {
	field := c.fields()[o.Key]
	if !o.Bool {
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

// nearest is the known key that takes the fewest changes to reach.
func nearest(key string) string {
	var known []string
	for _, o := range Options() {
		known = append(known, o.Key)
	}
	return nearestOf(key, known...)
}

func nearestOf(key string, known ...string) string {
	best, least := "", 1<<30
	for _, k := range known {
		if d := distance(strings.ToLower(key), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: insertions, deletions and replacements.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
