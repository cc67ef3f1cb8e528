package probe

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// cookies: a session cookie that was refused, or that is not sent where it is
// needed.
func (e evidence) cookies() *advice {
	if e.attempt == nil {
		return nil
	}
	if e.step == StepSignIn {
		if e.why != session.AllCookiesRefused || len(e.attempt.Refused) == 0 {
			return nil
		}
		return e.refused(e.attempt.Refused[0])
	}
	if !e.looksSignedOut() {
		return nil
	}
	for _, cookie := range e.attempt.Unused {
		if !e.sent(cookie.Name) {
			return e.unused(cookie)
		}
	}
	if len(e.attempt.Refused) > 0 && e.attempt.Refused[0].Rule != session.RuleExpired {
		return e.refused(e.attempt.Refused[0])
	}
	return nil
}

// looksSignedOut reports whether the ping was answered as if there were no
// session.
func (e evidence) looksSignedOut() bool {
	s := e.status()
	return s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusNotFound || e.pages() != nil ||
		e.verdict.cause == causeFalsy || e.verdict.cause == causeNoMatch || e.verdict.cause == causeNothing
}

func (e evidence) sent(name string) bool {
	for _, line := range e.exchange.Hops[0].RequestHeader.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			if n, _, _ := strings.Cut(strings.TrimSpace(pair), "="); n == name {
				return true
			}
		}
	}
	return false
}

// refused tells of a cookie that no browser would keep either.
func (e evidence) refused(cookie session.RefusedCookie) *advice {
	h := &advice{ID: "cookie-" + string(cookie.Rule), Text: cookie.Explanation}
	switch cookie.Rule {
	case session.RuleSecure, session.RuleHostPrefix, session.RuleSecurePrefix:
		h.Fix = e.useHTTPS()
	case session.RuleDomain:
		h.Fix = e.useDomain(cookie.Name)
	case session.RuleExpired:
		if skew, ok := e.skew(); ok && skew.Abs() > time.Minute {
			h.ID = "clock"
			h.Text = fmt.Sprintf("The cookie %s had expired when it arrived, and the application's clock is %s the relay's by %s. Set the clock of the application's machine, or the relay's, right.", cookie.Name, aheadOrBehind(skew), skew.Abs().Round(time.Second))
		}
	}
	return h
}

func aheadOrBehind(skew time.Duration) string {
	if skew > 0 {
		return "ahead of"
	}
	return "behind"
}

// unused tells of a cookie that was kept and is of no use to the ping.
func (e evidence) unused(cookie session.RefusedCookie) *advice {
	h := &advice{ID: "cookie-" + string(cookie.Rule), Text: cookie.Explanation}
	switch cookie.Rule {
	case session.RuleNotOverHTTP:
		h.Fix = e.useHTTPS()
	case session.RuleOtherPath:
		h.Text += " Check the base URI's path, and the ping URI: the application expects its requests below the cookie's path."
	case session.RuleOtherDomain:
		if u, err := url.Parse(cookie.URL); err == nil {
			h.Fix = e.useHost(u)
		}
	}
	return h
}

func (e evidence) useHTTPS() *Fix {
	if rest, ok := strings.CutPrefix(e.c.BaseURI, "http://"); ok {
		return &Fix{Label: "Use https", Field: "baseUri", Value: "https://" + rest}
	}
	return nil
}

// useDomain offers the domain for which a cookie was set as the base URI's host,
// where that is an address or a bare name: the application knows itself by
// another.
func (e evidence) useDomain(cookie string) *Fix {
	base, err := connection.ParseBase(e.c.BaseURI)
	if err != nil {
		return nil
	}
	if _, err := netip.ParseAddr(base.Hostname()); err != nil && strings.Contains(base.Hostname(), ".") {
		return nil
	}
	for _, line := range e.header().Values("Set-Cookie") {
		set, err := http.ParseSetCookie(line)
		if err != nil || set.Name != cookie || !strings.Contains(strings.Trim(set.Domain, "."), ".") {
			continue
		}
		host := strings.Trim(set.Domain, ".")
		if p := base.Port(); p != "" {
			host += ":" + p
		}
		base.Host = host
		if _, err := connection.ParseBase(base.String()); err != nil {
			return nil
		}
		return &Fix{Label: "Use " + shorten(host, 60), Field: "baseUri", Value: base.String()}
	}
	return nil
}

// useHost offers the host that set the cookie as the base URI's.
func (e evidence) useHost(from *url.URL) *Fix {
	base, err := connection.ParseBase(e.c.BaseURI)
	if err != nil || from.Host == "" || strings.EqualFold(base.Host, from.Host) {
		return nil
	}
	base.Scheme, base.Host = from.Scheme, from.Host
	return &Fix{Label: "Use " + from.Host, Field: "baseUri", Value: base.String()}
}

// cookieNames are the names that an exchange's answers set, each once.
func cookieNames(e *road.Exchange) []string {
	var names []string
	if e == nil {
		return nil
	}
	for _, hop := range e.Hops {
		for _, line := range hop.Header.Values("Set-Cookie") {
			pair, _, _ := strings.Cut(line, ";")
			name, _, found := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); found && name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
