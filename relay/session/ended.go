package session

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// Ended says why an answer from target means that the session has ended, "" where
// it does not: a 401 or another status that the connection names, or a redirect
// to the page on which people sign in. location is the answer's Location field.
func (h *Held) Ended(c *connection.Connection, target *url.URL, status int, location string) string {
	if !c.Auth.Type.SignsIn() {
		return ""
	}
	if c.Auth.NeedsPerson() && !h.Refreshable() {
		return "" // nobody but a person could sign in again; the answer says more
	}
	if c.Auth.Session.Ends(status) {
		return "the application answered " + strconv.Itoa(status)
	}
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if c.Auth.Type == connection.AuthCookie && toSignIn(h.Connection(c), target, location) {
			return "the application redirected to its sign-in page"
		}
	}
	return ""
}

// toSignIn reports whether a redirect leads to the sign-in page. Taking another
// redirect for one would cost a sign-in and hide the application's answer, so
// the rule is narrow: the same host, and the very path of the cookie URI or a
// path with a segment that is one of the common names of such a page, whatever
// its extension. A request that goes to such a path itself is never taken for
// one that lost its session.
func toSignIn(c *connection.Connection, target *url.URL, location string) bool {
	if location == "" {
		return false
	}
	to, err := target.Parse(location)
	if err != nil || !strings.EqualFold(to.Hostname(), target.Hostname()) {
		return false
	}
	signIn := ""
	if how := c.Auth.Cookie; how != nil {
		if u, err := c.URL(how.URI, &connection.Marks{}); err == nil && strings.EqualFold(u.Hostname(), to.Hostname()) {
			signIn = u.Path
		}
	}
	isSignIn := func(u *url.URL) bool {
		return signIn != "" && samePath(u.Path, signIn) || namesSignIn(u.Path)
	}
	return isSignIn(to) && !isSignIn(target)
}

func samePath(a, b string) bool {
	return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
}

func namesSignIn(p string) bool {
	for segment := range strings.SplitSeq(strings.ToLower(p), "/") {
		switch strings.TrimSuffix(segment, path.Ext(segment)) {
		case "login", "log-in", "log_in", "logon", "signin", "sign-in", "sign_in", "signon", "loginpage", "login-page":
			return true
		}
	}
	return false
}
