package probe

import (
	"fmt"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// FirstRequest is the first request of a sign-in chain, its answer, and what was
// found in it.
type FirstRequest struct {
	Request  *HTTPRequest  `json:"request,omitempty"`
	Response *HTTPResponse `json:"response,omitempty"`
	Hops     []Hop         `json:"hops,omitempty"`
	Values   []ValueResult `json:"values,omitempty"`
}

// ValueResult is what became of one value that an answer was to give; never the
// value itself.
type ValueResult struct {
	Name    string `json:"name"`
	From    string `json:"from" doc:"header, cookie, json, xpath or field."`
	At      string `json:"at"`
	Found   bool   `json:"found"`
	Missing string `json:"missing,omitempty" doc:"Why it was not found, and what was there."`
}

// chain puts what a sign-in chain did into the step, masked.
func (m *mask) chain(s *Step, a *session.Attempt) {
	var first []session.FoundValue
	if a.First != nil {
		first = a.First.Values
	}
	m.take(first, "the first request")
	m.take(a.Values, "the sign-in")
	if a.First != nil {
		m.learn(a.First.Exchange) // after: a cookie may be such a value
		var shown Step
		m.show(&shown, a.First.Exchange)
		s.Before = &FirstRequest{Request: shown.Request, Response: shown.Response, Hops: shown.Hops, Values: m.values(first)}
	}
	s.Values = m.values(a.Values)
}

// take hides the values that the answer to a request gave, and notes for commands
// where each stands.
func (m *mask) take(values []session.FoundValue, request string) {
	places := map[connection.ValueSource]string{connection.FromHeader: "the header ", connection.FromCookie: "the cookie ",
		connection.FromJSON: "JSONPath ", connection.FromXPath: "XPath ", connection.FromField: "the form field "}
	for _, v := range values {
		if len(v.Value) < minCookieLength {
			continue
		}
		variable := variableName(signInVariable, v.Name)
		m.add(v.Value, variable)
		m.origins[variable] = "the answer to " + request + ", " + places[v.From] + strings.Join(strings.Fields(v.At), " ")
	}
}

func (m *mask) values(found []session.FoundValue) []ValueResult {
	var shown []ValueResult
	for _, v := range found {
		shown = append(shown, ValueResult{Name: v.Name, From: string(v.From), At: v.At, Found: v.Found, Missing: m.text(v.Missing)})
	}
	return shown
}

// gave tells which values a sign-in brought, as the beginning of a sentence.
func gave(a *session.Attempt) string {
	if a.First == nil || len(a.First.Values) == 0 {
		return ""
	}
	return "The first request gave " + named(a.First.Values) + ". "
}

func named(values []session.FoundValue) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.Name
	}
	return strings.Join(names, ", ")
}

// chain: an answer of the sign-in chain lacks a value, or the sign-in page came
// again.
func (e evidence) chain() *advice {
	if e.attempt == nil {
		return nil
	}
	switch e.why {
	case session.SignInPage:
		return &advice{ID: "sign-in-page", Text: "The application shows its sign-in page again: the user name or the password is wrong, a field of the body has another name than in the page's form, or the token against forged requests is not sent as the application wants it. Name the success status code, such as 302, if this answer is in order."}
	case session.NoValue:
	default:
		return nil
	}
	values, which := e.attempt.Values, "sign-in"
	if e.attempt.First != nil && len(values) == 0 {
		values, which = e.attempt.First.Values, "first request"
	}
	for _, v := range values {
		if !v.Found {
			return &advice{ID: "value-" + string(v.From), Text: missingAdvice(v, which)}
		}
	}
	return nil
}

func missingAdvice(v session.FoundValue, which string) string {
	switch v.From {
	case connection.FromHeader:
		return fmt.Sprintf("Look at the answer's headers below. Some applications give %s only if the request asks for it (SAP: x-csrf-token: Fetch), or only with credentials; give the %s such a header of its own.", v.At, which)
	case connection.FromCookie:
		return fmt.Sprintf("Look at the Set-Cookie lines of the answer below, and take the name of the cookie that holds the token. A page that shows a form mostly sets it; an API's own URI may not, so try the sign-in page's URI for the %s.", which)
	case connection.FromField:
		return fmt.Sprintf("Look at the page's form below for the hidden field that holds the token, and take its name. The %s must lead to the page that shows the sign-in form.", which)
	}
	return "Look at the answer below, and name the way to the value in it. If it is an HTML page, choose the form field or an XPath."
}
