package session

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// byCookie signs in by a request whose answer sets cookies, or gives a value
// that stands for the session, with an empty jar. A chain's first request comes
// before it.
func (o order) byCookie(ctx context.Context, a *Attempt) error {
	how, c := o.c.Auth.Cookie, o.c
	if how.Before != nil {
		if err := o.first(ctx, a); err != nil {
			return err
		}
		c = a.Connection(c)
	}
	before := a.Jar.count(sources(how))
	marks := &connection.Marks{}
	u, err := c.URL(how.URI, marks)
	if err != nil {
		return &proto.Error{
			Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err,
			Detail: "The cookie URI can't be used: " + err.Error(),
		}
	}
	body := ""
	if how.Method == http.MethodPost {
		body = how.Body
	}
	a.Exchange, err = road.Send(ctx, o.rt, c, road.Request{
		Method: how.Method, URL: u, Marks: marks, Body: body, Headers: how.Headers, Jar: a.Jar, RequestID: o.requestID, Timeout: signInTimeout,
		FollowRedirects: how.SuccessStatusCode/100 != 3,
	})
	_, a.Refused = a.Jar.refusals()
	if err != nil {
		return err
	}
	a.Unused = unused(a.Jar, c)
	received := a.Jar.count(sources(how)) - before
	if !expected(a.Exchange.Last().Status, how.SuccessStatusCode) {
		return a.failed(c, WrongStatus)
	}
	a.Values = extract(how.Values, a.Exchange, a.Jar)
	if err := a.take(a.Values, "sign-in", a.Exchange); err != nil {
		return err
	}
	switch {
	case givesSession(how):
		return nil
	case a.Jar.live(sources(how)...):
		if how.Before != nil && received == 0 && asksForPassword(a.Exchange) {
			return a.failed(c, SignInPage)
		}
		return nil
	case received == 0:
		return a.failed(c, NoCookie)
	default:
		return a.failed(c, AllCookiesRefused)
	}
}

// expected is the rule of the form: the code that it names, else any 2xx.
func expected(status, code int) bool {
	if code != 0 {
		return status == code
	}
	return status/100 == 2
}

func (a *Attempt) failed(c *connection.Connection, why Why) *Failed {
	f := &Failed{Attempt: a, Why: why, status: a.Exchange.Last().Status, at: a.Jar.clock()}
	answer := fmt.Sprintf("The application answered the sign-in with %d", f.Status())
	if text := http.StatusText(f.Status()); text != "" {
		answer += " " + text
	}
	switch why {
	case WrongStatus:
		f.Detail = answer + ", where " + wanted(c.Auth.Cookie.SuccessStatusCode) + " was expected"
	case NoCookie:
		f.Detail = answer + " and set no cookie"
		if len(sources(c.Auth.Cookie)) > 0 {
			f.Detail += " but those from which values are read"
		}
	case SignInPage:
		f.Detail = answer + ", set no cookie, and asks for the password again"
	default:
		f.Detail = answer + ", but none of its cookies can be used"
	}
	if start := preview(a.Exchange.Body, c, a.Exchange); start != "" {
		f.Detail += ". The answer begins: " + start
	} else {
		f.Detail += "."
	}
	if why == AllCookiesRefused && len(a.Refused) > 0 {
		f.Detail += " " + a.Refused[0].Explanation
	}
	return f
}

func wanted(code int) string {
	if code == 0 {
		return "a 2xx"
	}
	return fmt.Sprintf("%d", code)
}

// unused finds the cookies that will not be sent with the ping, or where there
// is none, to the base URI.
func unused(j *Jar, c *connection.Connection) []RefusedCookie {
	target, err := c.URL(c.Ping.URI, &connection.Marks{})
	if err != nil {
		return nil // validation has its own words for it
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []RefusedCookie
	for i := range j.kept {
		k := &j.kept[i]
		if rule := k.misses(target); rule != "" {
			found = append(found, RefusedCookie{Name: k.name, URL: k.line.URL, Rule: rule, Explanation: k.explain(rule, target)})
		}
	}
	return found
}

// misses says why the cookie is not sent to u, "" where it is.
func (k *keptCookie) misses(u *url.URL) Rule {
	one := newJar(time.Now)
	from, err := url.Parse(k.line.URL)
	if err != nil {
		return ""
	}
	one.set(from, k.line)
	if one.Header(u) != "" {
		return ""
	}
	path := *u
	path.Path, path.RawPath = k.path, ""
	if one.Header(&path) != "" {
		return RuleOtherPath
	}
	path.Scheme = "https"
	if one.Header(&path) != "" {
		return RuleNotOverHTTP
	}
	return RuleOtherDomain
}

func (k *keptCookie) explain(rule Rule, u *url.URL) string {
	switch rule {
	case RuleOtherPath:
		return fmt.Sprintf("The cookie %s was set for the path %s, so it is not sent to %s (RFC 6265, section 5.1.4).", k.name, k.path, withoutQuery(u))
	case RuleNotOverHTTP:
		return fmt.Sprintf("The cookie %s has the attribute Secure, so it is not sent to %s, which is plain http (RFC 6265, section 5.4).", k.name, withoutQuery(u))
	default:
		return fmt.Sprintf("The cookie %s was set for %s, so it is not sent to %s (RFC 6265, section 5.1.3). Use one host name in the base URI and the cookie URI.", k.name, k.domain, u.Hostname())
	}
}
