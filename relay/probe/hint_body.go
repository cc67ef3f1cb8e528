package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/session"
)

var looksLikeForm = regexp.MustCompile(`^[\w.\-\[\]%$]+=[^\s&]*(?:&[\w.\-\[\]%$]+=[^\s&]*)*$`)

var anyPlaceholder = regexp.MustCompile(`\{\{[^{}]*\}\}`)

// template is the body as the form has it; "" where none was sent.
func (e evidence) template() string {
	switch {
	case e.exchange.Hops[0].RequestBody == "":
		return ""
	case e.step == StepPing:
		return e.c.Ping.Body
	case e.c.Auth.Cookie != nil:
		return e.c.Auth.Cookie.Body
	}
	return ""
}

// bodyType is the media type that a body looks like; "" where that can't be told.
func bodyType(body string) connection.MediaType {
	switch body = strings.TrimSpace(body); {
	case (strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[")) && json.Valid([]byte(body)):
		return connection.JSON
	case strings.HasPrefix(body, "<") && strings.HasSuffix(body, ">"):
		return connection.XML
	case looksLikeForm.MatchString(body):
		return connection.URLEncoded
	}
	return ""
}

// bodies: the body is of one kind and was sent as another, which applications
// answer in many ways: 400, 401 for want of a user name, or 200 and no cookie.
func (e evidence) bodies() *advice {
	switch s := e.status(); {
	case s == http.StatusBadRequest, s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusUnsupportedMediaType, s == http.StatusUnprocessableEntity, s >= 500:
	case e.step == StepSignIn && e.why == session.NoCookie:
	default:
		return nil
	}
	for _, h := range e.c.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return nil
		}
	}
	looks := bodyType(anyPlaceholder.ReplaceAllString(e.template(), "0"))
	if looks == "" || looks == e.c.MediaType {
		return nil
	}
	return &advice{
		ID:   "body-type",
		Text: fmt.Sprintf("The body looks like %s, and was sent as %s, so that the application finds nothing in it. Choose the media type of the body.", mediaWord(looks), e.c.MediaType.ContentType()),
		Fix:  &Fix{Label: "Use " + mediaWord(looks), Field: "mediaType", Value: string(looks)},
	}
}

// mediaWord is a media type as the form calls it.
func mediaWord(m connection.MediaType) string {
	switch m {
	case connection.JSON:
		return "JSON"
	case connection.XML:
		return "XML"
	case connection.URLEncoded:
		return "a URL encoded form"
	}
	return string(m)
}

// protections: the application refuses a request that carries no token against
// forged ones. Django, Rails, Spring, Laravel and SAP each say so.
func (e evidence) protections() *advice {
	text := strings.ToLower(string(e.exchange.Body[:min(len(e.exchange.Body), pageLimit)]))
	required := strings.EqualFold(e.header().Get("X-Csrf-Token"), "required")
	named := strings.Contains(text, "csrf") || strings.Contains(text, "xsrf") || strings.Contains(text, "invalidauthenticitytoken")
	switch s := e.status(); {
	case s == http.StatusForbidden && (required || named), s == 419, s == http.StatusBadRequest && named, s == http.StatusUnprocessableEntity && named:
	default:
		return nil
	}
	if e.step == StepSignIn {
		return &advice{ID: "csrf", Text: "The application protects its sign-in by a token (CSRF) that it gives out beforehand. Describe the first request that fetches it, under “A sign-in in two steps”, and write {{signin.NAME}} in the body or a header of the sign-in."}
	}
	if t := e.c.Auth.Type; t != connection.AuthNone && !t.SignsIn() && e.c.Ping.Method == http.MethodGet {
		// Syncthing answers a wrong API key so.
		return &advice{ID: "credentials", Text: "The application takes this for a request of its own pages, which needs a token against forged ones (CSRF): it did not recognise the credentials. Check them, and the name of the header or parameter that they are sent in."}
	}
	return &advice{ID: "csrf", Text: "The application wants a token against forged requests (CSRF) with this one. Use a ping by GET, which needs none, or fetch the token by a first request of the sign-in and send it as a header.", Fix: e.pingByGET()}
}

func (e evidence) pingByGET() *Fix {
	if e.c.Ping.Method == http.MethodGet {
		return nil
	}
	return &Fix{Label: "Use GET", Field: "ping.method", Value: http.MethodGet}
}
