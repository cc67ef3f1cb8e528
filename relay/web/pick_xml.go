package web

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// element is an open element of an XML document that is being laid out.
type element struct {
	name    string // with its prefix
	path    string
	counts  map[string]int // how many children of each name came
	content bool           // an element or text came
}

// pickableXML lays out an XML document. Elements that have brothers of the same
// name are counted, so that each value has its own path; another one finds all
// of them at once.
func pickableXML(body string) []piece {
	many, ok := repeated(body)
	if !ok {
		return nil
	}
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict = true
	var pieces []piece
	var text strings.Builder
	values := 0
	open := []*element{{counts: map[string]int{}}}
	add := func(value, path string) {
		p := piece{Text: text.String(), Value: escapedText(value), Plain: strings.TrimSpace(value)}
		if !strings.Contains(value, hidden) {
			p.Path = path
			if all := withoutCounts(path); all != path {
				p.Ways = []string{all}
			}
		}
		if strings.ContainsAny(p.Plain, "\r\n") {
			p.Plain = ""
		}
		values++
		pieces = append(pieces, p)
		text.Reset()
	}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || values > pickLimit || len(open) > pickDepth {
			return nil
		}
		at := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			name := qualified(t.Name)
			if strings.HasPrefix(strings.ToLower(name), "html") && len(open) == 1 {
				return nil // a page has no values to pick
			}
			at.content = true
			at.counts[name]++
			path := at.path + "/" + name
			if many[withoutCounts(path)] {
				path += fmt.Sprintf("[%d]", at.counts[name])
			}
			breakLine(&text, pieces, len(open)-1)
			text.WriteString("<" + name)
			for _, a := range t.Attr {
				text.WriteString(" " + qualified(a.Name) + `="`)
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
					text.WriteString(escapedText(a.Value))
				} else {
					add(a.Value, path+"/@"+qualified(a.Name))
				}
				text.WriteString(`"`)
			}
			text.WriteString(">")
			open = append(open, &element{name: name, path: path, counts: map[string]int{}})
		case xml.EndElement:
			if len(open) == 1 || at.name != qualified(t.Name) {
				return nil
			}
			if len(at.counts) > 0 {
				breakLine(&text, pieces, len(open)-2)
			}
			text.WriteString("</" + at.name + ">")
			open = open[:len(open)-1]
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" && len(open) > 1 {
				add(strings.TrimSpace(string(t)), at.path)
			}
		}
	}
	if len(open) != 1 || values == 0 {
		return nil
	}
	return append(pieces, piece{Text: text.String()})
}

// repeated are the paths, without counts, of elements with brothers of the same
// name.
func repeated(body string) (many map[string]bool, ok bool) {
	d := xml.NewDecoder(strings.NewReader(body))
	many = map[string]bool{}
	path, seen := []string{""}, []map[string]int{{}}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return many, true
		}
		if err != nil || len(path) > pickDepth {
			return nil, false
		}
		switch t := token.(type) {
		case xml.StartElement:
			here := path[len(path)-1] + "/" + qualified(t.Name)
			if seen[len(seen)-1][here]++; seen[len(seen)-1][here] > 1 {
				many[here] = true
			}
			path, seen = append(path, here), append(seen, map[string]int{})
		case xml.EndElement:
			if len(path) == 1 {
				return nil, false
			}
			path, seen = path[:len(path)-1], seen[:len(seen)-1]
		}
	}
}

// counts matches what stands in the brackets of a path: counts alone.
var counts = regexp.MustCompile(`\[\d+\]`)

func withoutCounts(path string) string { return counts.ReplaceAllString(path, "") }

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

func escapedText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text)
}

func breakLine(text *strings.Builder, before []piece, depth int) {
	if text.Len() > 0 || len(before) > 0 {
		text.WriteByte('\n')
	}
	text.WriteString(strings.Repeat("  ", depth))
}
