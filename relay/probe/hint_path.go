package probe

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/antchfx/xmlquery"

	"sallyport/relay/connection"
)

// paths: the path finds nothing, or cannot be looked up at all.
func (e evidence) paths() *advice {
	v := e.verdict
	path := e.c.Ping.SuccessPath
	switch {
	case v.cause == causeUnreadable && e.exchange.Last().Method == "HEAD":
		return &advice{ID: "head-without-body", Text: "An answer to HEAD has no body. Use GET, or clear the success path.", Fix: &Fix{Label: "Use GET", Field: "ping.method", Value: "GET"}}
	case v.cause == causeUnreadable && v.doc.xml != nil && isXPath(path), v.cause == causeUnreadable && v.doc.json != nil && isJSONPath(path):
		return nil // the message says what is wrong with it
	case v.cause == causeUnreadable && v.doc.xml != nil:
		return &advice{ID: "path-language", Text: "The answer is XML, where the success path is an XPath, such as /response/status or //status."}
	case v.cause == causeUnreadable && v.doc.json != nil:
		return &advice{ID: "path-language", Text: "The answer is JSON, where the success path is a JSONPath, such as ok or data.status."}
	case v.cause == causeUnreadable:
		return &advice{ID: "unreadable", Text: "A success path is looked up in JSON or XML. Look at the answer below: if the application has no such answer, clear the success path, and the status code alone decides."}
	case v.cause != causeNothing:
		return nil
	}
	last := lastName(path)
	if last == "" {
		return nil
	}
	places := occurrences(v.doc, last)
	if len(places) == 0 {
		if names := topNames(v.doc); len(names) > 0 {
			return &advice{ID: "path-names", Text: "The answer has no " + show(last) + " anywhere. At its top it has: " + strings.Join(names, ", ") + "."}
		}
		return nil
	}
	best := places[0]
	id := "path-level"
	if best.name != last {
		id = "path-case"
	}
	return &advice{
		ID:   id,
		Text: fmt.Sprintf("Nothing is at %s, but %s exists (%s).", path, best.path, show(best.value)),
		Fix:  &Fix{Label: "Use " + best.path, Field: "ping.successPath", Value: best.path},
	}
}

var nameInPath = regexp.MustCompile(`[^\s.\[\]()'"/@=!<>|,*?&$]+`)

// lastName is the last name in a path, of either language.
func lastName(path string) string {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i] // a filter names what it compares, not what it finds
	}
	names := nameInPath.FindAllString(path, -1)
	for _, name := range slices.Backward(names) {
		if _, err := strconv.Atoi(name); err != nil {
			if _, local, found := strings.Cut(name, ":"); found {
				name = local
			}
			return name
		}
	}
	return ""
}

// place is where a name occurs in a document.
type place struct {
	path, name, value string
	depth             int
}

const (
	maxPlaces   = 100
	searchNodes = 20_000 // that are looked at
	searchDepth = 6      // a success flag lies near the top
)

// occurrences finds a name, the exact spelling first, then the shallowest.
func occurrences(d document, name string) []place {
	s := search{name: name, budget: searchNodes}
	switch d.format {
	case formatJSON:
		s.json(d.json, nil)
	case formatXML:
		s.xml(d.xml, "", 0)
	}
	slices.SortStableFunc(s.found, func(a, b place) int {
		if exact := (a.name == name); exact != (b.name == name) {
			if exact {
				return -1
			}
			return 1
		}
		return a.depth - b.depth
	})
	return s.found
}

type search struct {
	name   string
	budget int
	found  []place
}

func (s *search) json(v any, at connection.JSONPlace) {
	if s.budget--; s.budget < 0 || len(at) > searchDepth || len(s.found) >= maxPlaces {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			here := at.Member(key)
			if strings.EqualFold(key, s.name) {
				s.found = append(s.found, place{path: here.String(), name: key, value: jsonValue(v[key]).text, depth: len(here)})
			}
			s.json(v[key], here)
		}
	case []any:
		for i, element := range v[:min(len(v), 3)] {
			s.json(element, at.Index(i))
		}
	}
}

func (s *search) xml(n *xmlquery.Node, at string, depth int) {
	if n == nil || depth > searchDepth {
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != xmlquery.ElementNode {
			continue
		}
		if s.budget--; s.budget < 0 || len(s.found) >= maxPlaces {
			return
		}
		name := c.Data
		if c.Prefix != "" {
			name = c.Prefix + ":" + c.Data
		}
		here := at + "/" + name
		if strings.EqualFold(c.Data, s.name) {
			s.found = append(s.found, place{path: here, name: c.Data, value: strings.TrimSpace(c.InnerText()), depth: depth})
		}
		for _, a := range c.Attr {
			if strings.EqualFold(a.Name.Local, s.name) {
				s.found = append(s.found, place{path: here + "/@" + a.Name.Local, name: a.Name.Local, value: a.Value, depth: depth + 1})
			}
		}
		s.xml(c, here, depth+1)
	}
}

// topNames are the names at a document's top.
func topNames(d document) []string {
	var names []string
	switch d.format {
	case formatJSON:
		v := d.json
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		if object, ok := v.(map[string]any); ok {
			names = slices.Sorted(maps.Keys(object))
		}
	case formatXML:
		for c := d.xml.FirstChild; c != nil; c = c.NextSibling {
			if c.Type != xmlquery.ElementNode {
				continue
			}
			for inner := c.FirstChild; inner != nil; inner = inner.NextSibling {
				if inner.Type == xmlquery.ElementNode && !slices.Contains(names, inner.Data) {
					names = append(names, inner.Data)
				}
			}
		}
	}
	for i, name := range names {
		names[i] = shorten(name, 40)
	}
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	return names
}

func isXPath(path string) bool {
	_, err := connection.XPath(path)
	return err == nil
}

func isJSONPath(path string) bool {
	_, err := connection.JSONPath(path)
	return err == nil
}
