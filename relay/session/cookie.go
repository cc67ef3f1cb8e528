package session

import (
	"strconv"
	"strings"
	"time"
)

// Limits of RFC 6265bis, section 5.6, that browsers keep to as well.
const (
	maxCookieBytes    = 4096 // name and value together
	maxAttributeBytes = 1024 // one attribute's value; a longer attribute is passed over
)

// cookie is a Set-Cookie line as section 5.6 of RFC 6265bis reads it. The
// reading is lenient where net/http is strict: applications put quotes, spaces
// and JSON into values, browsers send them back as they came, and so do we.
type cookie struct {
	name, value string
	domain      string // as given, without one leading dot
	path        string // "" unless it begins with a slash
	secure      bool
	httpOnly    bool
	sameSite    string    // Strict, Lax or None; "": not said, or something else
	expires     time.Time // zero: lasts as long as the session
}

// parseCookie reads a line that was received at a time. Where the line breaks a
// rule by itself, wherever it came from, rule is not "".
func parseCookie(line string, at time.Time) (c cookie, rule Rule) {
	for i := range len(line) {
		if b := line[i]; b < ' ' && b != '\t' || b == 0x7f {
			return cookie{}, RuleControl
		}
	}
	pair, rest, _ := strings.Cut(line, ";")
	name, value, found := strings.Cut(pair, "=")
	c.name, c.value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
	switch {
	case !found:
		return cookie{}, RuleName // a lone word is a value without a name
	case c.name == "":
		return c, RuleName
	case len(c.name)+len(c.value) > maxCookieBytes:
		return c, RuleSize
	}
	c.attributes(rest, at)
	return c, ""
}

func (c *cookie) attributes(rest string, at time.Time) {
	maxAge := false
	for rest != "" {
		var attribute string
		attribute, rest, _ = strings.Cut(rest, ";")
		key, value, _ := strings.Cut(attribute, "=")
		value = strings.Trim(value, " \t")
		if len(value) > maxAttributeBytes {
			continue
		}
		switch strings.ToLower(strings.Trim(key, " \t")) {
		case "domain":
			c.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			c.path = ""
			if strings.HasPrefix(value, "/") {
				c.path = value
			}
		case "secure":
			c.secure = true
		case "httponly":
			c.httpOnly = true
		case "samesite":
			c.sameSite = sameSite(value)
		case "max-age":
			if seconds, ok := parseMaxAge(value); ok {
				maxAge = true
				c.expires = at.Add(seconds)
			}
		case "expires":
			if t, ok := parseCookieDate(value); ok && !maxAge {
				c.expires = t
			}
		}
	}
}

// sameSite is the attribute's value in its usual spelling. It is for people: the
// relay sends requests of its own, and is no other site.
func sameSite(value string) string {
	for _, known := range []string{"Strict", "Lax", "None"} {
		if strings.EqualFold(value, known) {
			return known
		}
	}
	return ""
}

// parseMaxAge reads digits with an optional minus (section 5.6.2). Beyond 400
// days it makes no difference (section 5.5).
func parseMaxAge(s string) (time.Duration, bool) {
	const limit = 400 * 24 * 60 * 60
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case s[0] == '-' || n == 0 && err == nil:
		return 0, true
	case err != nil || n > limit:
		n = limit
	}
	return time.Duration(n) * time.Second, true
}

// parseCookieDate reads a date by the algorithm of RFC 6265, section 5.1.1:
// the parts are found by their shape, in whatever order and with whatever
// between them.
func parseCookieDate(s string) (time.Time, bool) {
	var clock, day, month, year = "", 0, 0, -1
	isDelimiter := func(r rune) bool {
		return r == '\t' || r >= 0x20 && r <= 0x2f || r >= 0x3b && r <= 0x40 || r >= 0x5b && r <= 0x60 || r >= 0x7b && r <= 0x7e
	}
	for _, token := range strings.FieldsFunc(s, isDelimiter) {
		number, digits := leadingNumber(token)
		switch {
		case clock == "" && strings.Count(token, ":") == 2:
			clock = token
		case day == 0 && (digits == 1 || digits == 2):
			day = number
		case month == 0 && monthOf(token) > 0:
			month = monthOf(token)
		case year < 0 && digits >= 2 && digits <= 4:
			year = number
			if digits == 2 && year >= 70 {
				year += 1900
			} else if digits == 2 {
				year += 2000
			}
		}
	}
	of, err := time.Parse("15:4:5", clock)
	if err != nil || day < 1 || day > 31 || month == 0 || year < 1601 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, of.Hour(), of.Minute(), of.Second(), 0, time.UTC)
	return t, t.Day() == day // there is no 31st of February
}

func leadingNumber(s string) (number, digits int) {
	for digits < len(s) && digits < 5 && s[digits] >= '0' && s[digits] <= '9' {
		number = number*10 + int(s[digits]-'0')
		digits++
	}
	return number, digits
}

func monthOf(token string) int {
	if len(token) < 3 {
		return 0
	}
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if i := strings.Index(months, strings.ToLower(token[:3])); i >= 0 && i%3 == 0 {
		return i/3 + 1
	}
	return 0
}
