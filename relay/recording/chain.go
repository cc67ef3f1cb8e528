package recording

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
)

// shortestToken is the shortest value that is looked for in earlier answers:
// shorter ones stand anywhere.
const shortestToken = 8

// chain looks for values of the login that an earlier answer gave, such as a
// token against forged requests, and has them fetched anew for each sign-in. It
// returns the login with placeholders in their place, and the request that is to
// come first; nil: none.
func (d *Draft) chain(base *url.URL, login *request, earlier []*request) (*request, *connection.FirstRequest) {
	c := chaining{draft: d, base: base, earlier: earlier}
	chained := *login
	media, _ := login.mediaType()
	var all []stretch
	for _, l := range leaves(media, login.body) {
		if passwordName.MatchString(l.name) || len(l.value) < shortestToken {
			continue
		}
		if with := c.from(l.name, l.value); with != "" {
			all = append(all, stretch{l.from, l.to, l.quote + with + l.quote})
		}
	}
	chained.body = replace(login.body, all)
	chained.header = nil
	for _, h := range login.header {
		if looksLikeCSRF(h.Name) && len(h.Value) >= shortestToken {
			if with := c.from(h.Name, h.Value); with != "" {
				h.Value = with
			}
		}
		chained.header = append(chained.header, h)
	}
	return &chained, c.first
}

// chaining gathers what the first request has to bring.
type chaining struct {
	draft   *Draft
	base    *url.URL
	earlier []*request
	source  *request // of the values so far
	first   *connection.FirstRequest
}

// from is the placeholder for a value that an earlier answer gave, "" where none
// did. All values come from one request.
func (c *chaining) from(name, value string) string {
	for i := len(c.earlier) - 1; i >= 0; i-- {
		r := c.earlier[i]
		if c.source != nil && r != c.source || r.method != "GET" || r.answer == nil || !connection.SameOrigin(c.base, r.url) {
			continue
		}
		from, at := findValue(r.answer, value)
		if from == "" {
			continue
		}
		if c.first == nil {
			c.source = r
			c.first = &connection.FirstRequest{Method: "GET", URI: relative(c.base, r.url, r.url.RawQuery)}
			c.draft.note(Understood, "The login sends a value that %s gave before: it is fetched anew for each sign-in.", shorten(c.first.URI, 60))
		}
		for _, known := range c.first.Values {
			if known.From == from && known.At == at {
				return "{{signin." + known.Name + "}}"
			}
		}
		named := strings.TrimLeft(secretName(name), "_.-")
		c.first.Values = append(c.first.Values, connection.SignInValue{Name: named, From: from, At: at})
		return "{{signin." + named + "}}"
	}
	return ""
}

// findValue is where in an answer a value stands; "" where it does not.
func findValue(a *answer, value string) (connection.ValueSource, string) {
	for _, h := range a.header {
		if strings.EqualFold(h.Name, "Set-Cookie") {
			pair, _, _ := strings.Cut(h.Value, ";")
			name, v, _ := strings.Cut(pair, "=")
			v = strings.Trim(v, `"`)
			if plain, err := url.QueryUnescape(v); v == value || err == nil && plain == value {
				return connection.FromCookie, strings.TrimSpace(name)
			}
		} else if h.Value == value {
			return connection.FromHeader, h.Name
		}
	}
	switch {
	case strings.Contains(a.mimeType, "html"):
		if name := fieldOf(a.text, value); name != "" {
			return connection.FromField, name
		}
	case strings.Contains(a.mimeType, "json"):
		decoder := json.NewDecoder(strings.NewReader(a.text))
		decoder.UseNumber()
		var document any
		if decoder.Decode(&document) == nil {
			if place, found := placeOf(document, value, nil, 6); found {
				return connection.FromJSON, place.String()
			}
		}
	}
	return "", ""
}

var (
	fieldTag  = regexp.MustCompile(`(?is)<(?:input|meta)\b[^>]*>`)
	attribute = regexp.MustCompile(`(?is)\b(name|value|content)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// fieldOf is the name of the form field or meta element of a page that has the
// value.
func fieldOf(page, value string) string {
	for _, tag := range fieldTag.FindAllString(page, 2000) {
		name, has := "", ""
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			text := html.UnescapeString(m[2] + m[3] + m[4])
			if strings.EqualFold(m[1], "name") {
				name = text
			} else {
				has = text
			}
		}
		if has == value && name != "" {
			return name
		}
	}
	return ""
}

// placeOf finds a text in a JSON document.
func placeOf(v any, text string, at connection.JSONPlace, depth int) (connection.JSONPlace, bool) {
	object, ok := v.(map[string]any)
	if !ok || depth == 0 {
		return at, v == any(text)
	}
	for name, inner := range object {
		if place, found := placeOf(inner, text, at.Member(name), depth-1); found {
			return place, true
		}
	}
	return nil, false
}
