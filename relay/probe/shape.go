package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/antchfx/xmlquery"
)

// Shape is which values an answer has, and of which kinds, without any of them:
// it tells whether an application has begun to answer otherwise.
type Shape struct {
	// Digest is the same for the same paths.
	Digest string `json:"digest"`
	// Paths are sorted: "data.items[].id number" of JSON, "/response/status" of
	// XML. At most shapePaths; Digest stands for all of them.
	Paths []string `json:"paths"`
	// More is how many paths there are beyond.
	More int `json:"more,omitempty"`
}

const (
	// shapePaths is how many paths are kept: what changes is mostly near the top.
	shapePaths = 200
	// shapeWalk bounds how many values of an answer are looked at.
	shapeWalk = 20_000
	// shapePath is the longest path that is kept, in bytes.
	shapePath = 200
	// shapeKeys is how many members an object may have whose names are fields.
	// One with more is a table by some key, whose rows come and go.
	shapeKeys = 100
)

// shapeOf is the shape of a document; nil where it has none.
func shapeOf(d document) *Shape {
	w := shapeWalker{found: map[string]bool{}, left: shapeWalk}
	switch d.format {
	case formatJSON:
		w.json("", d.json)
	case formatXML:
		w.xml("", d.xml)
	default:
		return nil
	}
	paths := slices.Sorted(maps.Keys(w.found))
	sum := sha256.Sum256([]byte(strings.Join(paths, "\n")))
	s := &Shape{Digest: hex.EncodeToString(sum[:12]), Paths: paths}
	if len(paths) > shapePaths {
		s.Paths, s.More = paths[:shapePaths:shapePaths], len(paths)-shapePaths
	}
	return s
}

type shapeWalker struct {
	found map[string]bool
	left  int
}

func (w *shapeWalker) add(path string) {
	w.found[clipped(path, shapePath)] = true
}

func (w *shapeWalker) json(path string, v any) {
	if w.left--; w.left < 0 {
		return
	}
	at := path
	if at == "" {
		at = "$"
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) > shapeKeys {
			w.add(at + " object")
			return
		}
		w.add(at + " object")
		for name, member := range v {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			w.json(inner, member)
		}
	case []any:
		w.add(at + " array")
		for _, element := range v {
			w.json(path+"[]", element)
		}
	case string:
		w.add(at + " string")
	case json.Number:
		w.add(at + " number")
	case bool:
		w.add(at + " boolean")
	case nil:
		w.add(at + " null")
	}
}

func (w *shapeWalker) xml(path string, n *xmlquery.Node) {
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		if child.Type != xmlquery.ElementNode {
			continue
		}
		if w.left--; w.left < 0 {
			return
		}
		name := child.Data
		if child.Prefix != "" {
			name = child.Prefix + ":" + name
		}
		at := path + "/" + name
		w.add(at)
		for _, attribute := range child.Attr {
			w.add(at + "/@" + attribute.Name.Local)
		}
		w.xml(at, child)
	}
}

// clipped shortens at a rune's edge.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
