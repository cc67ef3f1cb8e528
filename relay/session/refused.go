package session

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Rule is the stable name of a rule of RFC 6265 or its successor (RFC 6265bis)
// that a cookie broke, or of why it is of no use to a connection.
type Rule string

// Rules by which a Set-Cookie line is refused.
const (
	RuleControl      Rule = "control-character" // section 5.6 of RFC 6265bis
	RuleName         Rule = "name"              // nothing before the "="
	RuleEmptyValue   Rule = "empty-value"       // kept, but no proof of a sign-in
	RuleSize         Rule = "size"              // name and value over 4096 bytes
	RuleDomain       Rule = "domain"            // Domain does not cover the host
	RulePublicSuffix Rule = "public-suffix"     // Domain is shared by strangers
	RuleSecure       Rule = "secure"            // Secure, over plain http
	RuleHostPrefix   Rule = "host-prefix"       // __Host- without Secure, with Domain, or not Path=/
	RuleSecurePrefix Rule = "secure-prefix"     // __Secure- without Secure
	RuleExpired      Rule = "expired"           // over before it began: the application deletes it
)

// Rules by which an accepted cookie does not reach where the connection sends
// its requests.
const (
	RuleOtherPath   Rule = "other-path"
	RuleOtherDomain Rule = "other-domain"
	RuleNotOverHTTP Rule = "not-over-http"
)

// RefusedCookie is a cookie that did not do what the application set it for.
// It holds no value of a cookie.
type RefusedCookie struct {
	Name        string
	URL         string // that set it, without its query
	Rule        Rule
	Explanation string // a sentence or two for a person
}

// refusal checks a cookie against the URL that set it. "" accepts it.
func (c *cookie) refusal(u *url.URL, now time.Time) Rule {
	if rule := c.domainRefusal(canonicalHost(u)); rule != "" {
		return rule
	}
	name := strings.ToLower(c.name)
	switch {
	case c.secure && u.Scheme != "https":
		return RuleSecure
	case strings.HasPrefix(name, "__host-") && (!c.secure || c.domain != "" || c.path != "/"):
		return RuleHostPrefix
	case strings.HasPrefix(name, "__secure-") && !c.secure:
		return RuleSecurePrefix
	case !c.expires.IsZero() && !c.expires.After(now):
		return RuleExpired
	}
	return ""
}

func (c *cookie) domainRefusal(host string) Rule {
	domain := asciiName(c.domain)
	if domain == "" || domain == host {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil || !strings.HasSuffix(host, "."+domain) {
		return RuleDomain
	}
	if suffix, _ := publicsuffix.PublicSuffix(domain); suffix == domain {
		return RulePublicSuffix
	}
	return ""
}

// explain says in words why the cookie was refused.
func (c *cookie) explain(rule Rule, u *url.URL) string {
	host := u.Hostname()
	switch rule {
	case RuleControl:
		return "The Set-Cookie line holds a control character, so it is ignored as a whole (RFC 6265bis, section 5.6)."
	case RuleName:
		return "A Set-Cookie line has no name before its “=”, so it is ignored (RFC 6265, section 5.2)."
	case RuleEmptyValue:
		return fmt.Sprintf("The cookie %s was set to an empty value, which applications do to sign out. It does not count as a session.", c.name)
	case RuleSize:
		return fmt.Sprintf("The cookie %s is longer than %d bytes, which is the most that a cookie may have (RFC 6265bis, section 5.6).", c.name, maxCookieBytes)
	case RuleDomain:
		return fmt.Sprintf("The cookie %s was set for the domain %s, but %s set it, and that is no part of %s (RFC 6265, section 5.3, step 6). Use a host name within %s as the base URI's host.", c.name, c.domain, host, c.domain, c.domain)
	case RulePublicSuffix:
		return fmt.Sprintf("The cookie %s was set for the domain %s, which is not one organisation's own (a public suffix; RFC 6265, section 5.3, step 5), so it would reach strangers. The application should set it for %s.", c.name, c.domain, host)
	case RuleSecure:
		return fmt.Sprintf("The cookie %s has the attribute Secure, but it was set over plain http, so it is ignored (RFC 6265bis, section 5.7). Use https in the base URI, or let the application leave Secure out.", c.name)
	case RuleHostPrefix:
		return fmt.Sprintf("The name of the cookie %s begins with __Host-, so it must have Secure and Path=/ and no Domain (RFC 6265bis, section 4.1.3.2); it has not.", c.name)
	case RuleSecurePrefix:
		return fmt.Sprintf("The name of the cookie %s begins with __Secure-, so it must have the attribute Secure (RFC 6265bis, section 4.1.3.1); it has not.", c.name)
	case RuleExpired:
		return fmt.Sprintf("The cookie %s had expired when it arrived (%s by its own account). Applications delete cookies so; if this one was meant to last, compare the clock of the application with the relay's.", c.name, c.expires.UTC().Format(time.RFC3339))
	default:
		return ""
	}
}

// canonicalHost is u's host as cookies compare it: ASCII, lower case, no port,
// no dot at its end.
func canonicalHost(u *url.URL) string {
	return asciiName(strings.TrimSuffix(u.Hostname(), "."))
}

func asciiName(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return strings.ToLower(ascii)
	}
	return strings.ToLower(host)
}

// withoutQuery names a URL for a person. Queries may hold credentials.
func withoutQuery(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return shown.String()
}
