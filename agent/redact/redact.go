// Package redact takes secrets out of what leaves the agent's machine: the
// bundle of package doctor, and the log lines that the relay is shown.
package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport/agent/config"
	"sallyport/agent/control"
)

// Hidden stands in the place of what is not shown.
const Hidden = "(hidden)"

// Scrubber takes out of a text what must not leave the machine. The first line
// of defence is that nothing secret is put in; this is the second, for what
// people write where it is not expected.
type Scrubber struct{ secrets []string }

// New knows the secrets that this machine has: the key, the token of the
// control endpoint, passwords of proxies, an enrolment code.
func New(c config.Config, env func(string) (string, bool)) *Scrubber {
	s := &Scrubber{}
	if id, err := config.LoadIdentity(c.DataDir); err == nil {
		for _, form := range []string{
			base64.StdEncoding.EncodeToString(id.Seed), base64.RawStdEncoding.EncodeToString(id.Seed),
			base64.URLEncoding.EncodeToString(id.Seed), base64.RawURLEncoding.EncodeToString(id.Seed), hex.EncodeToString(id.Seed),
		} {
			s.add(form)
		}
	}
	var endpoint struct{ Token string }
	if text, err := os.ReadFile(filepath.Join(c.DataDir, control.File)); err == nil && json.Unmarshal(text, &endpoint) == nil {
		s.add(endpoint.Token)
	}
	for _, proxy := range []string{c.Proxy, c.TargetProxy} {
		s.addLogin(proxy)
	}
	if text, err := os.ReadFile(c.ProxyPasswordFile); err == nil {
		password, _, _ := strings.Cut(string(text), "\n")
		s.add(strings.TrimRight(password, "\r"))
	}
	for _, name := range Variables() {
		if value, ok := env(name); ok {
			s.addLogin(value)
			if IsSecret(name) {
				s.add(value)
			}
		}
	}
	// A secret that holds another must go first.
	slices.SortFunc(s.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return s
}

// Variables are the variables that change what the agent does, by name.
func Variables() []string {
	names := []string{"SALLYPORT_CODE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "LOCALDOMAIN", "RES_OPTIONS", "KRB5_CONFIG", "KRB5CCNAME"}
	for _, n := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"} {
		names = append(names, n, strings.ToLower(n))
	}
	for _, o := range config.Options() {
		names = append(names, o.Env)
	}
	return names
}

// add makes a secret known. One of three letters would take half the text with
// it; the patterns below still find it where it stands in a URL.
func (s *Scrubber) add(secret string) {
	if len(secret) > 3 && !slices.Contains(s.secrets, secret) {
		s.secrets = append(s.secrets, secret)
	}
}

// addLogin makes the password in a proxy's URL known, as written and as meant.
func (s *Scrubber) addLogin(proxy string) {
	_, after, _ := strings.Cut(proxy, "://")
	if at := strings.LastIndexByte(after, '@'); at > 0 {
		if _, password, ok := strings.Cut(after[:at], ":"); ok {
			s.add(password)
			if meant, err := url.PathUnescape(password); err == nil {
				s.add(meant)
				s.add(url.QueryEscape(meant))
			}
		}
	}
}

// IsSecret reports whether the value of a key or variable is nobody's business.
// The name of a file is not: the secret stands within.
func IsSecret(name string) bool {
	return secretName.MatchString(name) && !strings.HasSuffix(strings.ToLower(name), "file")
}

var secretName = regexp.MustCompile(`(?i)passw|secret|token|_code$|credential|login|apikey|api_key|privatekey`)

// patterns find what looks like a secret, wherever it stands. Quotes are left
// in place, so that JSON stays JSON.
var patterns = []struct {
	find *regexp.Regexp
	keep string
}{
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"'<>]*@`), "$1" + Hidden + "@"},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`), Hidden},
	{regexp.MustCompile(`(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\\?"?\s*[:=]\s*\[?\\?"?)[^"\\\r\n]+`), "$1$2" + Hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic|negotiate|ntlm)\s+[A-Za-z0-9+/=._~-]{8,}`), "$1 " + Hidden},
	{regexp.MustCompile(`(?i)((?:password|passwd|secret|token|privatekey|api[_-]?key)\\?"?\s*[:=]\s*\\?"?)[^"\\\s,;}]+`), "$1" + Hidden},
	{regexp.MustCompile(`([?&][\w.~-]+=)[^&\s"'\\)]+`), "$1" + Hidden},
	{regexp.MustCompile(`\bsally_[A-Za-z0-9_-]+`), Hidden},
}

// Scrub is the text without what looks like a secret, or is one that is known.
func (s *Scrubber) Scrub(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, Hidden)
	}
	for _, p := range patterns {
		text = p.find.ReplaceAllString(text, p.keep)
	}
	return text
}
