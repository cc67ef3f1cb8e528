package session

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/html"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// FirstAnswer is what the first request of a sign-in chain brought.
type FirstAnswer struct {
	Exchange *road.Exchange
	Values   []FoundValue
}

// first sends the first request of the chain and takes its values. Its answer
// may have any status: some applications give a token along with a refusal.
func (o order) first(ctx context.Context, a *Attempt) error {
	how := o.c.Auth.Cookie.Before
	a.First = &FirstAnswer{Exchange: &road.Exchange{}}
	marks := &connection.Marks{}
	u, err := o.c.URL(how.URI, marks)
	if err != nil {
		return &proto.Error{
			Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err,
			Detail: "The first request's URI can't be used: " + err.Error(),
		}
	}
	a.First.Exchange, err = road.Send(ctx, o.rt, o.c, road.Request{
		Method: how.Method, URL: u, Marks: marks, Headers: how.Headers, Jar: a.Jar, RequestID: o.requestID,
		Timeout: signInTimeout, FollowRedirects: true,
	})
	if err != nil {
		return err
	}
	a.First.Values = extract(how.Values, a.First.Exchange, a.Jar)
	err = a.take(a.First.Values, "first request", a.First.Exchange)
	if f, missed := err.(*Failed); missed {
		f.harmless = true
	}
	return err
}

// take keeps values that were found. All of them are needed: a sign-in or a
// request without one would be refused, and count as a wrong password.
func (a *Attempt) take(values []FoundValue, which string, e *road.Exchange) error {
	for _, v := range values {
		if !v.Found {
			status := e.Last().Status
			f := &Failed{Attempt: a, Why: NoValue, status: status, at: a.Jar.clock()}
			f.Detail = fmt.Sprintf("The %s was answered with %d %s, but does not give the value %s. %s", which, status, http.StatusText(status), v.Name, v.Missing)
			return f
		}
		if a.values == nil {
			a.values = make(map[string]string, len(values))
		}
		a.values[v.Name] = v.Value
	}
	return nil
}

// current is the values as they are now: a cookie may have been set anew since
// its value was taken.
func current(how *connection.CookieAuth, taken map[string]string, jar *Jar) map[string]string {
	var now map[string]string
	for _, v := range how.SignInValues() {
		if v.From != connection.FromCookie {
			continue
		}
		text, ok := jar.value(v.At)
		if text = decodedCookie(text); ok && text != "" && text != taken[v.Name] {
			if now == nil {
				now = maps.Clone(taken)
			}
			now[v.Name] = text
		}
	}
	if now == nil {
		return taken
	}
	return now
}

// sources are the names of the cookies from which values are read: they are
// tokens against forged requests, given to everybody, and prove no sign-in.
func sources(how *connection.CookieAuth) []string {
	var names []string
	for _, v := range how.SignInValues() {
		if v.From == connection.FromCookie {
			names = append(names, v.At)
		}
	}
	return names
}

// givesSession reports whether the sign-in's own answer gives a value that
// stands for the session, as applications do that hand out tokens and no cookies.
func givesSession(how *connection.CookieAuth) bool {
	return slices.ContainsFunc(how.Values, func(v connection.SignInValue) bool { return v.From != connection.FromCookie })
}

// asksForPassword reports whether an answer is a page with a password field: the
// sign-in page once more.
func asksForPassword(e *road.Exchange) bool {
	doc, err := page(e)
	if err != nil {
		return false
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attribute(n, "type") == "password" {
			return true
		}
	}
	return false
}
