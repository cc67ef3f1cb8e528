package session

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// previewLength is how much of a refused sign-in's answer a message quotes:
// enough for `{"error":"invalid_auth"}` and the title of a page.
const previewLength = 200

// mask stands where a secret stood.
const mask = "•••"

// preview is the start of an answer's body on one line, without the secrets of
// the connection, the body that was sent, and the cookies that were set, all of
// which applications have been seen to echo.
func preview(body []byte, c *connection.Connection, e *road.Exchange) string {
	text := string(body[:min(len(body), 16<<10)]) // masking a whole page would be waste
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "")
	}
	return shortened(hide(text, c, e))
}

// hide masks what of a text must not be shown.
func hide(text string, c *connection.Connection, e *road.Exchange) string {
	return strings.NewReplacer(masked(c, e)...).Replace(text)
}

// shortened is the start of a text on one line.
func shortened(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if utf8.RuneCountInString(text) > previewLength {
		text = string([]rune(text)[:previewLength]) + "…"
	}
	return text
}

// masked pairs each thing to hide with its mask, longest first, so that a
// secret within a longer one leaves no rest of the latter.
func masked(c *connection.Connection, e *road.Exchange) []string {
	var hide []string
	for _, s := range c.Secrets {
		hide = append(hide, s, url.QueryEscape(s), url.PathEscape(s))
		if quoted, err := json.Marshal(s); err == nil {
			hide = append(hide, strings.Trim(string(quoted), `"`))
		}
	}
	hide = append(hide, c.Auth.TypedCredentials()...)
	for _, hop := range e.Hops {
		if hop.RequestBody != "" {
			hide = append(hide, hop.RequestBody)
		}
		for _, line := range hop.Header["Set-Cookie"] {
			k, _ := parseCookie(line, hop.Start)
			hide = append(hide, k.value)
		}
	}
	hide = slices.DeleteFunc(hide, func(s string) bool { return s == "" })
	slices.SortFunc(hide, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(hide))
	for _, s := range hide {
		pairs = append(pairs, s, mask)
	}
	return pairs
}
