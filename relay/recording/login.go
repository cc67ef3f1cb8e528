package recording

import (
	"net/netip"
	"regexp"
	"strings"
)

// isLogin tells a request that signs in: it sends a password.
func isLogin(r *request) bool { return hasPassword(r) }

func hasPassword(r *request) bool {
	media, _ := r.mediaType()
	for _, l := range leaves(media, r.body) {
		if passwordName.MatchString(l.name) && l.value != "" {
			return true
		}
	}
	if r.method == "GET" {
		for _, l := range formLeaves(r.url.RawQuery) {
			if passwordName.MatchString(l.name) && l.value != "" {
				return true
			}
		}
	}
	return false
}

var csrfName = regexp.MustCompile(`(?i)csrf|xsrf|requestverificationtoken|authenticity_token|^_token$|^nonce$|^execution$|viewstate`)

// looksLikeCSRF tells the name of a value by which an application recognises its
// own forms. It is given anew for each session, or each form.
func looksLikeCSRF(name string) bool { return csrfName.MatchString(name) }

// privateAddress tells addresses that are of no public network.
func privateAddress(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
}
