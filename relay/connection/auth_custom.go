package connection

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CustomAuth is what an application of its own ways wants with each request.
type CustomAuth struct {
	Headers []Header `json:"headers,omitempty" doc:"Header fields, with placeholders in their values."`
	Query   []Pair   `json:"query,omitempty" doc:"Parameters that are added to each URI, in the place of those of the same name."`
	Body    []Pair   `json:"body,omitempty" doc:"Fields that are added to JSON objects and form bodies of up to 1 MiB, in the place of those of the same name."`
}

func (c *CustomAuth) defaults() *CustomAuth {
	if c == nil {
		return nil
	}
	d := CustomAuth{Query: trimmedPairs(c.Query), Body: trimmedPairs(c.Body)}
	for _, h := range c.Headers {
		d.Headers = append(d.Headers, Header{Name: strings.TrimSpace(h.Name), Value: strings.Trim(h.Value, " \t")})
	}
	return &d
}

func trimmedPairs(pairs []Pair) []Pair {
	var trimmed []Pair
	for _, p := range pairs {
		trimmed = append(trimmed, Pair{Name: strings.TrimSpace(p.Name), Value: p.Value})
	}
	return trimmed
}

func (c *CustomAuth) check(f *faults) {
	if len(c.Headers)+len(c.Query)+len(c.Body) == 0 {
		f.add("auth.custom.headers", "Enter what is sent with each request: a header, a query parameter or a body field. Choose None if there is nothing to send.")
	}
	checkHeaders(f, "auth.custom.headers", c.Headers)
	checkPairs(f, "auth.custom.query", c.Query)
	checkPairs(f, "auth.custom.body", c.Body)
}

func checkPairs(f *faults, path string, pairs []Pair) {
	if len(pairs) > MaxHeaders {
		f.add(path, "At most %d lines; there are %d.", MaxHeaders, len(pairs))
	}
	seen := map[string]int{}
	for i, p := range pairs {
		checkPairName(f, fmt.Sprintf("%s[%d].name", path, i), p.Name)
		if first, twice := seen[p.Name]; twice && p.Name != "" {
			f.add(fmt.Sprintf("%s[%d].name", path, i), "%s stands there twice (first in line %d); remove one.", printable(shorten(p.Name, 60)), first+1)
		}
		seen[p.Name] = i
		if len(p.Value) > MaxHeaderValue {
			f.add(fmt.Sprintf("%s[%d].value", path, i), "A value has at most %d bytes.", MaxHeaderValue)
		} else if !utf8.ValidString(p.Value) {
			f.add(fmt.Sprintf("%s[%d].value", path, i), "The value is not valid UTF-8; enter it anew.")
		}
	}
}

func checkPairName(f *faults, path, name string) {
	switch {
	case name == "":
		f.add(path, "Enter the name, such as api_key.")
	case len(name) > MaxHeaderName:
		f.add(path, "A name has at most %d bytes.", MaxHeaderName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		f.add(path, "A name can't hold control characters; enter it anew.")
	case strings.Contains(name, placeholderOpen):
		f.add(path, "A name can't be a placeholder; only its value can.")
	}
}

func (c *CustomAuth) templates() []template {
	var t []template
	for i, h := range c.Headers {
		t = append(t, template{fmt.Sprintf("auth.custom.headers[%d].value", i), h.Value, EscapeHeader})
	}
	for i, p := range c.Query {
		t = append(t, template{fmt.Sprintf("auth.custom.query[%d].value", i), p.Value, EscapeURI})
	}
	for i, p := range c.Body {
		t = append(t, template{fmt.Sprintf("auth.custom.body[%d].value", i), p.Value, EscapeJSON})
	}
	return t
}
