package ledger

import (
	"net/url"
	"strings"
)

// hidden stands for a value of a query.
const hidden = "***"

// longestURL is how much of a URL is kept, in bytes.
const longestURL = 2048

// hideValues is the URL as it may be kept: no user, no fragment, and of the
// query the names only, since tokens and personal data travel in the values. A
// part of the query that is no pair may be a value, too.
func hideValues(u *url.URL) string {
	var b strings.Builder
	b.WriteString(u.Scheme)
	b.WriteString("://")
	b.WriteString(u.Host)
	b.WriteString(u.EscapedPath())
	if u.RawQuery != "" {
		b.WriteByte('?')
		for i, pair := range strings.Split(u.RawQuery, "&") {
			if i > 0 {
				b.WriteByte('&')
			}
			if name, _, ok := strings.Cut(pair, "="); ok {
				b.WriteString(name)
				b.WriteByte('=')
			}
			if pair != "" {
				b.WriteString(hidden)
			}
		}
	}
	if b.Len() > longestURL {
		return b.String()[:longestURL] + "…"
	}
	return b.String()
}
