package probe

import (
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// masked stands where a secret stood.
const masked = "••••"

// minCookieLength is the shortest cookie value that is masked outside of
// cookie fields too. Shorter ones ("en", "true", "1") prove nothing, and
// masking them would make every answer unreadable.
const minCookieLength = 6

// mask hides what must not be shown of a test: the connection's secrets in
// every form that they take on the wire or in an echo of it, credentials that
// were typed plainly, and cookies.
type mask struct {
	needles []string
	names   map[string]string // of the needles: the shell variable that stands for each
	origins map[string]string // of variables: from where a sign-in took their values
}

func newMask(c *connection.Connection) *mask {
	m := &mask{names: make(map[string]string), origins: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		m.add(c.Secrets[name], variableName("SECRET", name))
	}
	for _, s := range c.Auth.TypedCredentials() {
		m.add(s, "CREDENTIAL")
	}
	return m
}

// learn adds what an exchange shows to be secret.
func (m *mask) learn(e *road.Exchange) {
	if e == nil {
		return
	}
	for _, hop := range e.Hops {
		for _, pattern := range sensitiveBody {
			for _, match := range pattern.FindAllStringSubmatch(hop.RequestBody, -1) {
				m.addTyped(match[2], fieldVariable(match[1]))
			}
		}
		for _, match := range sensitiveQuery.FindAllStringSubmatch("&"+hop.URL.RawQuery, -1) {
			m.addTyped(match[2], fieldVariable(match[1]))
		}
		for _, line := range hop.RequestHeader.Values("Cookie") {
			for pair := range strings.SplitSeq(line, ";") {
				m.addCookie(pair)
			}
		}
		for _, line := range hop.Header.Values("Set-Cookie") {
			pair, _, _ := strings.Cut(line, ";")
			m.addCookie(pair)
		}
	}
}

func (m *mask) addCookie(pair string) {
	name, value, _ := strings.Cut(pair, "=")
	variable := variableName("COOKIE", name)
	value = strings.Trim(value, " \t\"")
	if len(value) >= minCookieLength {
		m.add(value, variable)
		if plain, err := url.QueryUnescape(value); err == nil && len(plain) >= minCookieLength {
			m.add(plain, variable)
		}
	}
}

// addTyped adds a credential that was found in a body or query, and what it
// was before it was escaped there.
func (m *mask) addTyped(found, variable string) {
	if len(found) < 3 || strings.Contains(found, "{{agent.secret.") { // a placeholder is to be read
		return
	}
	m.add(found, variable)
	if plain, err := url.QueryUnescape(found); err == nil {
		m.add(plain, variable)
	}
	var plain string
	if json.Unmarshal([]byte(`"`+found+`"`), &plain) == nil {
		m.add(plain, variable)
	}
	m.add(html.UnescapeString(found), variable)
}

// Names of fields whose values are credentials, in bodies and queries. What is
// hidden once too often costs a reader less than what is shown once.
const (
	sensitiveName = `[\w.\-]*(?:passw|passphrase|secret|token|api_?-?key|apikey|credential|signature|jsessionid|sessionid|session_id)[\w.\-]*`
	sensitiveWord = `pwd|pass|pin|otp|key|sid|code|ticket|sig|auth|authorization|phpsessid`
)

var (
	sensitiveQuery = regexp.MustCompile(`(?i)([?&;](?:` + sensitiveName + `|` + sensitiveWord + `)=)([^&;#\s"'<>]+)`)
	sensitiveBody  = []*regexp.Regexp{
		regexp.MustCompile(`(?i)("(?:` + sensitiveName + `|pwd|pass|pin|otp)"\s*:\s*")((?:[^"\\]|\\.)+)`),
		regexp.MustCompile(`(?i)((?:^|[&?\n])(?:` + sensitiveName + `|pwd|pass|pin|otp)=)([^&\s"'<>]+)`),
		regexp.MustCompile(`(?i)(<(?:[\w\-]+:)?(?:` + sensitiveName + `|pwd|pass|pin|otp)(?:\s[^>]*)?>)([^<]+)`),
	}
)

// text hides every secret in s. Stretches that overlap are hidden together.
func (m *mask) text(s string) string {
	type stretch struct{ from, to int }
	var hidden []stretch
	for _, needle := range m.needles {
		for at := 0; ; {
			i := strings.Index(s[at:], needle)
			if i < 0 {
				break
			}
			hidden = append(hidden, stretch{at + i, at + i + len(needle)})
			at += i + len(needle)
		}
	}
	if len(hidden) == 0 {
		return s
	}
	slices.SortFunc(hidden, func(a, b stretch) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for i := 0; i < len(hidden); {
		from, to := hidden[i].from, hidden[i].to
		for i++; i < len(hidden) && hidden[i].from < to; i++ {
			to = max(to, hidden[i].to)
		}
		b.WriteString(s[at:from])
		b.WriteString(masked)
		at = to
	}
	b.WriteString(s[at:])
	return b.String()
}

// body hides secrets and the values of fields that are named like credentials.
func (m *mask) body(s string) string {
	s = m.text(s)
	for _, pattern := range sensitiveBody {
		s = pattern.ReplaceAllString(s, "${1}"+masked)
	}
	return s
}

// url hides secrets, and credentials in the query.
func (m *mask) url(s string) string {
	s = escapedPlaceholder.ReplaceAllString(s, "{{$1}}")
	return sensitiveQuery.ReplaceAllString(m.text(s), "${1}"+masked)
}

// escapedPlaceholder stands in the path of a request that the agent fills in.
var escapedPlaceholder = regexp.MustCompile(`%7B%7B(agent\.secret\.[\w.\-]+)%7D%7D`)

// headers are header fields as shown: sorted by name, ours left out.
func (m *mask) headers(h http.Header) []Header {
	shown := []Header{}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(strings.ToLower(name), "sallyport-") {
			continue
		}
		for _, v := range h[name] {
			shown = append(shown, Header{Name: name, Value: strings.ToValidUTF8(m.header(name, v), "�")})
		}
	}
	return shown
}

var sensitiveHeader = regexp.MustCompile(`key|token|secret|auth|passw|session|credential|signature`)

func (m *mask) header(name, value string) string {
	name = strings.ToLower(name)
	switch {
	case name == "cookie":
		pairs := strings.Split(value, ";")
		for i, pair := range pairs {
			pairs[i] = maskPair(pair)
		}
		return strings.Join(pairs, ";")
	case name == "set-cookie":
		pair, attributes, found := strings.Cut(value, ";")
		if found {
			attributes = ";" + m.text(attributes)
		}
		return maskPair(pair) + attributes
	case name == "authorization" || name == "proxy-authorization":
		if scheme, _, found := strings.Cut(value, " "); found {
			return m.text(scheme) + " " + masked
		}
		return masked
	case name == "www-authenticate" || name == "proxy-authenticate" || strings.HasPrefix(name, "access-control-"):
		return m.text(value)
	case sensitiveHeader.MatchString(name):
		return masked
	}
	return m.url(value)
}

// maskPair keeps a cookie's name.
func maskPair(pair string) string {
	name, _, found := strings.Cut(pair, "=")
	if !found {
		return masked
	}
	return name + "=" + masked
}
