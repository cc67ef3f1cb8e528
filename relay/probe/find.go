package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/antchfx/xpath"

	"sallyport/relay/connection"
)

// value is what a path found.
type value struct {
	text string // plain text, as it stood in the document
	kind kind
	// elements are those of a JSON array: any of them may match.
	elements []value
	empty    bool // of an array, an object or an element: nothing in it
}

type kind int

const (
	kindText kind = iota
	kindNumber
	kindBool
	kindNull
	kindArray
	kindObject
	kindNode // text of an XML node, which has no type of its own
)

// maxValues is how many values a path may find.
const maxValues = 10_000

// find looks a path up.
func (d document) find(path string) (found []value, err error) {
	defer func() {
		// The parsers are not ours, and the document is a stranger's.
		if p := recover(); p == errTooMuchWork {
			found, err = nil, errTooMuchWork
		} else if p != nil {
			found, err = nil, fmt.Errorf("the path can't be looked up in this answer: %v", p)
		}
	}()
	switch d.format {
	case formatJSON:
		return d.findJSON(path)
	case formatXML:
		return d.findXML(path)
	}
	return nil, nil
}

func (d document) findJSON(path string) ([]value, error) {
	p, err := connection.JSONPath(path)
	if err != nil {
		return nil, err
	}
	nodes := []any{d.json}
	for _, segment := range p.Query().Segments() {
		var next []any
		for _, n := range nodes {
			next = append(next, segment.Select(n, d.json)...)
			if len(next) > maxValues {
				return nil, fmt.Errorf("the path finds more than %d values; name the value more exactly", maxValues)
			}
		}
		nodes = next
	}
	found := make([]value, len(nodes))
	for i, n := range nodes {
		found[i] = jsonValue(n)
	}
	return found, nil
}

// jsonValue is a JSON value as plain text.
func jsonValue(v any) value {
	switch v := v.(type) {
	case nil:
		return value{text: "null", kind: kindNull}
	case bool:
		return value{text: strconv.FormatBool(v), kind: kindBool}
	case json.Number:
		return value{text: v.String(), kind: kindNumber}
	case string:
		return value{text: v}
	case []any:
		a := value{text: compact(v), kind: kindArray, empty: len(v) == 0}
		for _, e := range v {
			if _, nested := e.([]any); nested {
				a.elements = append(a.elements, value{text: compact(e), kind: kindArray})
				continue
			}
			a.elements = append(a.elements, jsonValue(e))
		}
		return a
	case map[string]any:
		return value{text: compact(v), kind: kindObject, empty: len(v) == 0}
	}
	return value{text: fmt.Sprint(v)}
}

func compact(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (d document) findXML(path string) ([]value, error) {
	expr, err := connection.XPath(path)
	if err != nil {
		return nil, err
	}
	switch result := expr.Evaluate(newNavigator(d.xml)).(type) {
	case bool:
		return []value{{text: strconv.FormatBool(result), kind: kindBool}}, nil
	case float64:
		return []value{{text: xpathNumber(result), kind: kindNumber}}, nil
	case string:
		return []value{{text: result, kind: kindNode, empty: result == ""}}, nil
	case *xpath.NodeIterator:
		var found []value
		for result.MoveNext() {
			found = append(found, nodeValue(result.Current()))
			if len(found) > maxValues {
				return nil, fmt.Errorf("the path finds more than %d values; name the value more exactly", maxValues)
			}
		}
		return found, nil
	}
	return nil, nil
}

func nodeValue(n xpath.NodeNavigator) value {
	v := value{text: n.Value(), kind: kindNode}
	inner := n.Copy()
	v.empty = strings.TrimSpace(v.text) == "" && !(n.NodeType() == xpath.ElementNode && inner.MoveToChild() && inner.NodeType() == xpath.ElementNode)
	return v
}

// xpathNumber writes a number as XPath's string() does.
func xpathNumber(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
