package road

import (
	"net/http"
	"net/url"
	"strconv"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// MaxRedirects is how many redirects Send follows: as many as net/http does,
// and more than any sign-in needs.
const MaxRedirects = 10

// Reasons of redirects that Send does not follow, beside
// proto.ReasonTooManyRedirects. Their Facts: location, without its query.
const (
	// ReasonRedirectInvalid: the Location is not an http or https URI.
	ReasonRedirectInvalid proto.Reason = "redirect_invalid"
	// ReasonRedirectOrigin: the body would have to be sent to another origin.
	ReasonRedirectOrigin proto.Reason = "redirect_other_origin"
)

// step is the next request to send.
type step struct {
	method string
	url    *url.URL
	body   string
}

// isRedirect reports whether an answer sends its client elsewhere. A 3xx
// without a Location is an answer like any other.
func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	default:
		return false
	}
}

// follow is the request that a redirect asks for (RFC 9110, section 15.4).
// 301 and 302 turn into GET as 303 does, for POST because every browser does
// so, for others as net/http does.
//
// A body is never sent to another origin than the one that the connection
// meant it for: a sign-in body is credentials, whether they were written as
// placeholders or plainly.
func (at step) follow(resp *http.Response, hops int) (step, error) {
	raw := resp.Header.Get("Location")
	to, err := at.url.Parse(raw)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return step{}, &proto.Error{
			Code: proto.CodeTargetUnreachable, Reason: ReasonRedirectInvalid, Outcome: proto.OutcomeSent, Err: err,
			Detail: "The application answered " + strconv.Itoa(resp.StatusCode) + " with a Location that is not an http or https URI.",
		}
	}
	to = withoutUser(to)
	facts := map[string]string{"location": place(to)}
	if hops > MaxRedirects {
		return step{}, &proto.Error{
			Code: proto.CodeTargetUnreachable, Reason: proto.ReasonTooManyRedirects, Outcome: proto.OutcomeSent, Facts: facts,
			Detail: "The application redirected more than " + strconv.Itoa(MaxRedirects) + " times, last to " + place(to) + ".",
			Hint:   "The application may redirect in a circle, for want of a cookie or a header; look at the redirects that were followed.",
		}
	}
	next := step{method: at.method, url: to, body: at.body}
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if at.body != "" && !connection.SameOrigin(at.url, to) {
			return step{}, &proto.Error{
				Code: proto.CodeTargetUnreachable, Reason: ReasonRedirectOrigin, Outcome: proto.OutcomeSent, Facts: facts,
				Detail: "The application answered " + strconv.Itoa(resp.StatusCode) + " and wants the body sent to " + place(to) +
					", which is another origin; it was not sent there, since it may hold credentials.",
				Hint: "If that address is right, enter it in the connection instead of " + place(at.url) + ".",
			}
		}
	default:
		next.body = ""
		if at.method != http.MethodHead {
			next.method = http.MethodGet
		}
	}
	return next, nil
}

// withoutUser is u without what is not sent: a user name and password, which
// only a redirect could have brought in, and a fragment.
func withoutUser(u *url.URL) *url.URL {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	return &c
}
