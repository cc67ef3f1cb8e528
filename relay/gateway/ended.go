package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// ended says why an answer means that the session has ended, "" where it does
// not: a 401 or another status that the connection names, or a redirect to the page on which people sign in.
func (p *passage) ended(resp *http.Response) string {
	if !p.c.Auth.Type.SignsIn() {
		return ""
	}
	if p.c.Auth.NeedsPerson() && !p.held.Refreshable() {
		return "" // nobody but a person could sign in again; the answer says more
	}
	if p.c.Auth.Session.Ends(resp.StatusCode) {
		return "the application answered " + strconv.Itoa(resp.StatusCode)
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if p.c.Auth.Type == connection.AuthCookie && p.toSignIn(resp.Header.Get("Location")) {
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
func (p *passage) toSignIn(location string) bool {
	if location == "" {
		return false
	}
	to, err := p.target.Parse(location)
	if err != nil || !strings.EqualFold(to.Hostname(), p.target.Hostname()) {
		return false
	}
	signIn := ""
	if how := p.c.Auth.Cookie; how != nil {
		if u, err := p.signedIn().URL(how.URI, &connection.Marks{}); err == nil && strings.EqualFold(u.Hostname(), to.Hostname()) {
			signIn = u.Path
		}
	}
	isSignIn := func(u *url.URL) bool {
		return signIn != "" && samePath(u.Path, signIn) || namesSignIn(u.Path)
	}
	return isSignIn(to) && !isSignIn(p.target)
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
