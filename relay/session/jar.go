package session

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// maxCookies bounds what one session may hold, so that an application that
// makes up a new name each time can't fill the store. RFC 6265, section 6.1,
// asks for at least 50 per domain; browsers keep some 180.
const maxCookies = 200

// Jar holds the cookies of one session by the rules of RFC 6265, and remembers
// the Set-Cookie lines that made them. It is safe for concurrent use. It is a
// road.Jar. A nil Jar is empty and keeps nothing.
type Jar struct {
	clock func() time.Time
	rules *cookiejar.Jar

	mu       sync.Mutex // guards the following
	kept     []keptCookie
	received map[string]int // Set-Cookie lines by the cookie's name, refused ones included
	refused  []RefusedCookie
	version  uint64 // grows with each change that the store should hear of
	extended bool   // a cookie's life was extended since the last snapshot
}

// keptCookie is a cookie that lives in the jar, and the line that set it.
type keptCookie struct {
	line         SetCookie
	name, value  string
	domain, path string
	secure       bool
	httpOnly     bool
	hostOnly     bool // no Domain was named
	sameSite     string
	expires      time.Time
}

// newJar returns an empty jar.
func newJar(clock func() time.Time) *Jar {
	// New fails only for options that it can't take; these it can.
	rules, _ := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	return &Jar{clock: clock, rules: rules}
}

// restore replays a session's lines. Those that have expired since are left out.
func restore(lines []SetCookie, clock func() time.Time) *Jar {
	j := newJar(clock)
	for _, l := range lines {
		if u, err := url.Parse(l.URL); err == nil {
			j.set(u, l)
		}
	}
	j.received, j.refused, j.version, j.extended = nil, nil, 0, false
	return j
}

// SetCookies takes the Set-Cookie lines of an answer from u.
func (j *Jar) SetCookies(u *url.URL, lines []string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		if j.received == nil {
			j.received = make(map[string]int)
		}
		if name = strings.TrimSpace(name); len(j.received) < maxCookies || j.received[name] > 0 {
			j.received[name]++
		}
		j.set(u, SetCookie{URL: withoutQuery(u), Line: line, At: now})
	}
}

// set takes one line. Its owner holds mu, or has the jar to itself.
func (j *Jar) set(u *url.URL, line SetCookie) {
	c, rule := parseCookie(line.Line, line.At)
	now := j.clock()
	if rule == "" {
		rule = c.refusal(u, now)
	}
	k := c.kept(u, line)
	at := slices.IndexFunc(j.kept, k.replaces)
	switch {
	case rule == RuleExpired && at >= 0:
		// The application deletes what it had set: nothing to report.
		j.kept = slices.Delete(j.kept, at, at+1)
		j.version++
		j.pass(u, &c, now)
		return
	case rule != "":
		j.refuse(u, &c, rule)
		return
	case c.value == "":
		j.refuse(u, &c, RuleEmptyValue)
	}
	j.pass(u, &c, now)
	switch {
	case at < 0:
		if len(j.kept) >= maxCookies {
			j.evict()
		}
		j.kept = append(j.kept, k)
		j.version++
	case j.kept[at].value != k.value || j.kept[at].secure != k.secure:
		j.kept[at] = k
		j.version++
	default:
		j.kept[at] = k
		j.extended = true
	}
}

// pass hands a cookie to the jar of the standard library, its end reckoned from
// when it was received.
func (j *Jar) pass(u *url.URL, c *cookie, now time.Time) {
	h := &http.Cookie{Name: c.name, Value: c.value, Domain: c.domain, Path: c.path, Secure: c.secure}
	if !c.expires.IsZero() {
		// The library's clock is the machine's; only the difference counts.
		h.Expires = time.Now().Add(c.expires.Sub(now))
	}
	j.rules.SetCookies(u, []*http.Cookie{h})
}

func (j *Jar) refuse(u *url.URL, c *cookie, rule Rule) {
	if len(j.refused) < maxCookies {
		j.refused = append(j.refused, RefusedCookie{
			Name: c.name, URL: withoutQuery(u), Rule: rule, Explanation: c.explain(rule, u),
		})
	}
}

// evict removes the oldest cookie.
func (j *Jar) evict() {
	old := j.kept[0]
	j.kept = slices.Delete(j.kept, 0, 1)
	if u, err := url.Parse(old.line.URL); err == nil {
		c, _ := parseCookie(old.line.Line, old.line.At)
		j.rules.SetCookies(u, []*http.Cookie{{Name: c.name, Domain: c.domain, Path: c.path, MaxAge: -1}})
	}
}

// Header is the Cookie header field for a request to u, "" where there is none.
// Values go back as they came.
func (j *Jar) Header(u *url.URL) string {
	if j == nil {
		return ""
	}
	cookies := j.rules.Cookies(u)
	if len(cookies) == 1 {
		return cookies[0].Name + "=" + cookies[0].Value
	}
	var b strings.Builder
	for i, c := range cookies {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.Name + "=" + c.Value)
	}
	return b.String()
}

// live reports whether the jar holds a cookie that can be a session's: not
// expired and not empty, and not one of those named.
func (j *Jar) live(but ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	var now time.Time
	for i := range j.kept {
		k := &j.kept[i]
		if k.value == "" || slices.Contains(but, k.name) {
			continue
		}
		if k.expires.IsZero() {
			return true
		}
		if now.IsZero() {
			now = j.clock()
		}
		if k.expires.After(now) {
			return true
		}
	}
	return false
}

// end is when the session's cookies end, and how long they were to last then; the
// zero time where they last as long as the session. Which cookie is the
// session's is nowhere said: it is the first to end of those that scripts can't
// read (HttpOnly), as session cookies are, or else the last of all. The named
// ones don't count.
func (j *Jar) end(but []string) (at time.Time, life time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var first, last *keptCookie
	forever := false
	for i := range j.kept {
		k := &j.kept[i]
		switch {
		case k.value == "" || slices.Contains(but, k.name):
		case k.expires.IsZero():
			forever = true
		default:
			if k.httpOnly && (first == nil || k.expires.Before(first.expires)) {
				first = k
			}
			if last == nil || k.expires.After(last.expires) {
				last = k
			}
		}
	}
	switch {
	case first != nil:
		return first.expires, first.expires.Sub(first.line.At)
	case last != nil && !forever:
		return last.expires, last.expires.Sub(last.line.At)
	}
	return time.Time{}, 0
}

// lines are the Set-Cookie lines of the cookies that live, and the version that
// they are of.
func (j *Jar) lines() ([]SetCookie, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	lines := make([]SetCookie, 0, len(j.kept))
	for i := range j.kept {
		if k := &j.kept[i]; k.expires.IsZero() || k.expires.After(now) {
			lines = append(lines, k.line)
		}
	}
	j.extended = false
	return lines, j.version
}

// changes tells the version, and whether a cookie lives longer than when lines
// was last called.
func (j *Jar) changes() (version uint64, extended bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.version, j.extended
}

// refusals are the cookies that were refused, and how many came in all.
func (j *Jar) refusals() (received int, refused []RefusedCookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.received {
		received += n
	}
	return received, slices.Clone(j.refused)
}

// count is how many Set-Cookie lines came but those of the named cookies.
func (j *Jar) count(but []string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for name, times := range j.received {
		if !slices.Contains(but, name) {
			n += times
		}
	}
	return n
}

// kept is the cookie as the jar identifies it: by name, domain and path
// (RFC 6265, section 5.3, step 11).
func (c *cookie) kept(u *url.URL, line SetCookie) keptCookie {
	k := keptCookie{line: line, name: c.name, value: c.value, path: c.path, secure: c.secure,
		httpOnly: c.httpOnly, sameSite: c.sameSite, expires: c.expires}
	if k.domain = asciiName(c.domain); k.domain == "" {
		k.domain, k.hostOnly = canonicalHost(u), true
	}
	if k.path == "" {
		k.path = defaultPath(u.Path)
	}
	return k
}

func (k keptCookie) replaces(old keptCookie) bool {
	return k.name == old.name && k.domain == old.domain && k.path == old.path
}

// defaultPath is the directory of the path that set a cookie (RFC 6265,
// section 5.1.4).
func defaultPath(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 || path[0] != '/' {
		return "/"
	}
	return path[:i]
}

// value is the value of the cookie of that name that was set last, whatever it
// is for.
func (j *Jar) value(name string) (string, bool) {
	if j == nil {
		return "", false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at := -1
	for i := range j.kept {
		if j.kept[i].name == name && (at < 0 || !j.kept[i].line.At.Before(j.kept[at].line.At)) {
			at = i
		}
	}
	if at < 0 {
		return "", false
	}
	return j.kept[at].value, true
}

// names are the names of the cookies that are kept.
func (j *Jar) names() []string {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	names := make([]string, len(j.kept))
	for i := range j.kept {
		names[i] = j.kept[i].name
	}
	return names
}
