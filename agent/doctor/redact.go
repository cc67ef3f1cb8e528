package doctor

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

// withoutSecrets is a URL as it may be shown: no user, no query, no fragment.
func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	left := ""
	if u.RawQuery != "" {
		left = "?(left out)"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String() + left
}

// hidden stands in the place of what is not shown.
const hidden = "(hidden)"

// scrubber takes out of a text what must not leave the machine. The first line
// of defence is that nothing secret is put in; this is the second, for what
// people write where it is not expected.
type scrubber struct{ secrets []string }

// newScrubber knows the secrets that this machine has: the key, the token of the
// control endpoint, passwords of proxies, an enrolment code.
func newScrubber(c config.Config, env func(string) (string, bool)) *scrubber {
	s := &scrubber{}
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
	for _, name := range environment() {
		if value, ok := env(name); ok {
			s.addLogin(value)
			if isSecret(name) {
				s.add(value)
			}
		}
	}
	// A secret that holds another must go first.
	slices.SortFunc(s.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return s
}

// add makes a secret known. One of three letters would take half the text with
// it; the patterns below still find it where it stands in a URL.
func (s *scrubber) add(secret string) {
	if len(secret) > 3 && !slices.Contains(s.secrets, secret) {
		s.secrets = append(s.secrets, secret)
	}
}

// addLogin makes the password in a proxy's URL known, as written and as meant.
func (s *scrubber) addLogin(proxy string) {
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

// isSecret reports whether the value of a key or variable is nobody's business.
// The name of a file is not: the secret stands within.
func isSecret(name string) bool {
	return secretName.MatchString(name) && !strings.HasSuffix(strings.ToLower(name), "file")
}

var secretName = regexp.MustCompile(`(?i)passw|secret|token|_code$|credential|login|apikey|api_key|privatekey`)

// patterns find what looks like a secret, wherever it stands. Quotes are left
// in place, so that JSON stays JSON.
var patterns = []struct {
	find *regexp.Regexp
	keep string
}{
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"'<>]*@`), "$1" + hidden + "@"},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`), hidden},
	{regexp.MustCompile(`(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\\?"?\s*[:=]\s*\[?\\?"?)[^"\\\r\n]+`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic|negotiate|ntlm)\s+[A-Za-z0-9+/=._~-]{8,}`), "$1 " + hidden},
	{regexp.MustCompile(`(?i)((?:password|passwd|secret|token|privatekey|api[_-]?key)\\?"?\s*[:=]\s*\\?"?)[^"\\\s,;}]+`), "$1" + hidden},
	{regexp.MustCompile(`([?&][\w.~-]+=)[^&\s"'\\)]+`), "$1" + hidden},
	{regexp.MustCompile(`\bsally_[A-Za-z0-9_-]+`), hidden},
}

func (s *scrubber) scrub(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	for _, p := range patterns {
		text = p.find.ReplaceAllString(text, p.keep)
	}
	return text
}
