package probe

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// detours: a redirect at the first hop that took something away. Most of them
// turn a POST into a GET (RFC 9110, section 15.4.2), and none carries configured
// headers to another origin. What the last hop then answers is no use as a hint.
func (e evidence) detours() *advice {
	if len(e.exchange.Hops) < 2 {
		return nil
	}
	first, next := e.exchange.Hops[0], e.exchange.Hops[1]
	lostBody := first.Method != next.Method && first.Method != http.MethodHead
	samePath := strings.Trim(first.URL.EscapedPath(), "/") == strings.Trim(next.URL.EscapedPath(), "/")
	lostHeaders := len(e.c.Headers) > 0 && !connection.SameOrigin(first.URL, next.URL)
	if !samePath || !lostBody && !lostHeaders {
		return nil
	}
	lost := "the configured headers are not sent there"
	if lostBody {
		lost = fmt.Sprintf("a redirect of this kind (%d) turns %s into %s, without the body", first.Status, first.Method, next.Method)
	}
	if !connection.SameOrigin(first.URL, next.URL) {
		return e.otherOrigin(first, next, lost)
	}
	return e.otherSlash(first, next, lost)
}

// otherOrigin: http to https, or one host name to another.
func (e evidence) otherOrigin(first, next road.Hop, lost string) *advice {
	h := &advice{ID: "redirect-origin", Text: fmt.Sprintf("%s redirects to %s, and %s. Enter that address as the base URI.", origin(first.URL), origin(next.URL), lost)}
	base, err := connection.ParseBase(e.c.BaseURI)
	if err == nil && connection.SameOrigin(base, first.URL) {
		base.Scheme, base.Host = next.URL.Scheme, next.URL.Host
		h.Fix = &Fix{Label: "Use " + origin(next.URL), Field: "baseUri", Value: base.String()}
	}
	if first.URL.Scheme == "http" && next.URL.Scheme == "https" {
		h.ID = "redirect-https"
	}
	return h
}

// otherSlash: with a slash at the end of the path, or without.
func (e evidence) otherSlash(first, next road.Hop, lost string) *advice {
	field, ref := "ping.uri", e.c.Ping.URI
	if e.step == StepSignIn {
		if e.c.Auth.Cookie == nil {
			return nil
		}
		field, ref = "auth.cookie.uri", e.c.Auth.Cookie.URI
	}
	slash := strings.HasSuffix(next.URL.EscapedPath(), "/")
	if slash == strings.HasSuffix(first.URL.EscapedPath(), "/") || ref == "" {
		return nil
	}
	path, query, asked := strings.Cut(ref, "?")
	path = strings.TrimRight(path, "/")
	word := "without"
	if slash {
		path += "/"
		word = "with"
	}
	if asked {
		path += "?" + query
	}
	return &advice{
		ID:   "slash-redirect",
		Text: fmt.Sprintf("The application redirects from %s to the same address %s a slash at its end, and %s. Write the %s %s it.", bare(first.URL), word, lost, e.uriField(), word),
		Fix:  &Fix{Label: "Use " + shorten(path, 40), Field: field, Value: path},
	}
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// plainToTLS: https servers that know what happened answer plain http with 400
// and one of these sentences: Go's, nginx's, Apache's and Jetty's.
func (e evidence) plainToTLS() *advice {
	if e.status() != http.StatusBadRequest || e.exchange.Last().URL.Scheme != "http" {
		return nil
	}
	text := strings.ToLower(string(e.exchange.Body[:min(len(e.exchange.Body), 4096)]))
	for _, says := range []string{"http request to an https server", "plain http request was sent to https port", "speaking plain http to an ssl-enabled server port", "this combination of host and port requires tls"} {
		if strings.Contains(text, says) {
			return &advice{ID: "https-expected", Text: fmt.Sprintf("What listens at %s expects https. Begin the base URI with https://.", e.exchange.Last().URL.Host), Fix: e.useHTTPS()}
		}
	}
	return nil
}
