package probe

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// methods: 405 and its like, which say outright what to change.
func (e evidence) methods() *advice {
	if s := e.status(); s != http.StatusMethodNotAllowed && s != http.StatusNotImplemented {
		return nil
	}
	method, field := e.method()
	sent := e.exchange.Last().Method
	if sent != method {
		return nil // a redirect changed it; the field is not at fault
	}
	choices := []string{"GET", "POST"}
	if e.step == StepPing {
		choices = []string{"GET", "POST", "HEAD", "PUT"}
	}
	if e.c.Ping.SuccessPath != "" {
		choices = slices.DeleteFunc(choices, func(m string) bool { return m == "HEAD" })
	}
	var allowed []string
	for _, line := range e.header().Values("Allow") {
		for m := range strings.SplitSeq(line, ",") {
			allowed = append(allowed, strings.ToUpper(strings.TrimSpace(m)))
		}
	}
	text := fmt.Sprintf("The application does not take %s at this URI.", method)
	if len(allowed) > 0 {
		text += " It takes " + strings.Join(allowed, ", ") + "."
	}
	h := &advice{ID: "method"}
	for _, m := range choices {
		if m != method && (len(allowed) == 0 || slices.Contains(allowed, m)) {
			h.Text = text + " Try " + m + "."
			h.Fix = &Fix{Label: "Use " + m, Field: field, Value: m}
			return h
		}
	}
	h.Text = text + " Check the " + e.uriField() + "."
	return h
}

// statuses: what the status code alone says.
func (e evidence) statuses() *advice {
	if e.step == StepPing && e.verdict.cause != causeStatus || e.step == StepSignIn && e.why != session.WrongStatus {
		return e.noCookie()
	}
	switch s := e.status(); {
	case s == http.StatusUnauthorized && e.step == StepSignIn:
		return &advice{ID: "sign-in-401", Text: "The application did not accept the sign-in itself: check the user name and the password, and that the body has the fields that the application's API guide asks for." + e.challenge()}
	case s == http.StatusUnauthorized && !e.c.Auth.Type.SignsIn():
		return e.refusedCredentials()
	case s == http.StatusUnauthorized && e.c.Auth.Type == connection.AuthOAuth2:
		return e.refusedToken()
	case s == http.StatusUnauthorized:
		return &advice{ID: "ping-401", Text: "The sign-in went well, and yet the ping is not accepted: the cookie alone may not be enough. Check whether the application's API guide asks for a further header, such as a CSRF token, or for another sign-in URI." + e.challenge()}
	case s == http.StatusForbidden && e.step == StepSignIn:
		return &advice{ID: "sign-in-403", Text: "The application refuses this sign-in. The user may be locked or not allowed to use the API; some applications also check the headers Origin or Referer, or block an address after wrong passwords."}
	case s == http.StatusForbidden && !e.c.Auth.Type.SignsIn() && e.c.Auth.Type != connection.AuthNone:
		return &advice{ID: "ping-403", Text: "The application refuses this request: the credentials lack the right to it, or, as some applications answer so, they are wrong. Try a ping URI that every user may read, and check the credentials."}
	case s == http.StatusForbidden:
		return &advice{ID: "ping-403", Text: "The application knows the session and does not allow this request: the user lacks the right to it, or a header is missing. Try a ping URI that every user may read."}
	case s == http.StatusNotFound || s == http.StatusGone:
		return &advice{ID: "not-found", Text: fmt.Sprintf("There is nothing at %s. Check the base URI's path and the %s: the second continues the first.", bare(e.exchange.Last().URL), e.uriField())}
	case s == http.StatusUnsupportedMediaType:
		return e.mediaType()
	case s == http.StatusNotAcceptable:
		return &advice{ID: "not-acceptable", Text: "The application can't answer in the media type of this connection. Choose another media type, or configure an Accept header."}
	case s == http.StatusTooManyRequests:
		return &advice{ID: "too-many-requests", Text: "The application limits how often it is asked. Wait before the next test" + retryAfter(e.header()) + "."}
	case s == http.StatusBadRequest || s == http.StatusUnprocessableEntity:
		return &advice{ID: "bad-request", Text: "The application did not understand the request. Compare the body, the media type (" + string(e.c.MediaType) + ") and the headers with its API guide; its answer may say which field it misses."}
	case s >= 500:
		return &advice{ID: "server-error", Text: "The application itself failed, or a proxy in front of it. Look into its own log; if it fails each time, compare the request with its API guide."}
	}
	return e.successCode()
}

// challenge is the scheme that the application asks for.
func (e evidence) challenge() string {
	scheme, _, _ := strings.Cut(e.header().Get("WWW-Authenticate"), " ")
	if scheme == "" {
		return ""
	}
	return " It asks for the scheme " + shorten(scheme, 30) + "."
}

func retryAfter(h http.Header) string {
	if n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After"))); err == nil && n > 0 {
		return fmt.Sprintf("; it asks for %d seconds", n)
	}
	return ""
}

// mediaType is for 415 to a body that looks as it was sent; see bodies for others.
func (e evidence) mediaType() *advice {
	return &advice{ID: "media-type", Text: fmt.Sprintf("The application does not take bodies of the media type %s here. Choose the one that its API guide names.", e.c.MediaType)}
}

// successCode: the sign-in was answered with a good status, but not with the
// one that the form names.
func (e evidence) successCode() *advice {
	s := e.status()
	if s < 200 || s > 399 {
		return nil
	}
	value := strconv.Itoa(s)
	if e.step == StepSignIn {
		if len(cookieNames(e.exchange)) == 0 {
			return &advice{ID: "success-status", Text: fmt.Sprintf("The application answered %d and set no cookie: check the user name, the password and the cookie URI first, then the success status code.", s)}
		}
		return &advice{
			ID:   "success-status",
			Text: fmt.Sprintf("The application answered %d and set a cookie. If that is how it says yes, make %d the success status code.", s, s),
			Fix:  &Fix{Label: "Expect " + value, Field: "auth.cookie.successStatusCode", Value: value},
		}
	}
	return &advice{ID: "redirected", Text: "The application answers with a redirect that leads nowhere. Enter the URI of the resource itself as the ping URI."}
}

// noCookie: the status was right, and yet there is no session.
func (e evidence) noCookie() *advice {
	if e.why != session.NoCookie {
		return nil
	}
	h := &advice{ID: "no-cookie"}
	h.Text = fmt.Sprintf("The application answered %d, but set no cookie, so there is no session.", e.status())
	if begin := e.quote(); begin != "" {
		h.Text += " Its answer begins: " + begin + "."
	}
	h.Text += " Many applications answer so when the user name or the password is wrong; check both, and the names of the fields in the body."
	if token := tokenName(e); token != "" {
		h.Text += " The answer holds a field " + token + ": the application may hand out a token and no cookie."
	}
	if e.c.Auth.Cookie.Method == http.MethodGet {
		h.Text += " The cookie method is GET; most applications sign in by POST."
		h.Fix = &Fix{Label: "Use POST", Field: "auth.cookie.method", Value: http.MethodPost}
	}
	return h
}

// quoteLength is how much of an answer a hint quotes, in characters.
const quoteLength = 80

// quote is the start of the answer's body on one line.
func (e evidence) quote() string {
	text, ok := readable(e.header().Get("Content-Type"), e.exchange.Body, e.exchange.Truncated)
	if !ok {
		return ""
	}
	text = strings.Join(strings.Fields(shorten(text, 2048)), " ")
	if text == "" {
		return ""
	}
	return "“" + shorten(text, quoteLength) + "”"
}

func shorten(s string, max int) string {
	if runes := []rune(s); len(runes) > max {
		return string(runes[:max]) + "…"
	}
	return s
}

// tokenName is the field of a JSON answer that seems to hold a token.
func tokenName(e evidence) string {
	doc, err := readDocument(e.header().Get("Content-Type"), e.c.MediaType, e.exchange.Body, e.exchange.Truncated)
	object, ok := doc.json.(map[string]any)
	if err != nil || !ok {
		return ""
	}
	for name, v := range object {
		text, isText := v.(string)
		if isText && len(text) >= 8 && strings.Contains(strings.ToLower(name), "token") {
			return name
		}
	}
	return ""
}
