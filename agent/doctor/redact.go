package doctor

import "net/url"

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
