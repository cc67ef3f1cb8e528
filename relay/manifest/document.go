package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document describes one connection.
type Document struct {
	File string
	Line int // where it begins

	fields map[string]any // as the API takes them, but for secrets and agent
	agent  string         // by name
	// secrets are as they were written: references, and what keeps or removes.
	secrets map[string]written
	lines   map[string]int // of each field, by path
}

// written is a secret in a file.
type written struct {
	text string
	kind secretKind
	line int
}

type secretKind int

const (
	reference secretKind = iota // text says where the value is
	kept                        // {set: true}, as an export has it
	removed                     // null
)

func (d *Document) text(name string) string {
	s, _ := d.fields[name].(string)
	return strings.TrimSpace(s)
}

// Key, Name and ID are what a document is known by; each may be "".
func (d *Document) Key() string  { return d.text("key") }
func (d *Document) Name() string { return d.text("name") }
func (d *Document) ID() string   { return d.text("id") }

// title is what messages call the document.
func (d *Document) title() string { return cmp.Or(d.Key(), d.Name(), d.ID(), "connection") }

// fault is a fault at a field, or at the nearest that stands in the file.
func (d *Document) fault(path, format string, args ...any) Fault {
	line := d.Line
	for at := path; at != ""; {
		if l, ok := d.lines[at]; ok {
			line = l
			break
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	return Fault{File: d.File, Line: line, Path: path, Message: fmt.Sprintf(format, args...)}
}

// dir is the folder of the document's file, from which its references count.
func (d *Document) dir() string { return filepath.Dir(d.File) }

// parse reads the documents of one file: each is a connection, a list of them,
// or an object with the list as items, as the API lists them.
func (s *Schema) parse(name string, text []byte) ([]*Document, Faults) {
	roots, fault := nodes(name, text)
	if fault != nil {
		return nil, Faults{*fault}
	}
	var docs []*Document
	var faults Faults
	add := func(n *yaml.Node) {
		r := reading{schema: s, doc: &Document{File: name, Line: n.Line, secrets: map[string]written{}, lines: map[string]int{}}}
		r.document(n)
		faults = append(faults, r.faults...)
		if r.doc.fields != nil {
			docs = append(docs, r.doc)
		}
	}
	for _, n := range roots {
		n = plain(n)
		if items := itemsOf(n); items != nil {
			n = items
		}
		if n.Kind == yaml.SequenceNode {
			for _, item := range n.Content {
				add(plain(item))
			}
			continue
		}
		add(n)
	}
	return docs, faults
}

// itemsOf is the list within a page of the API; nil: n is none.
func itemsOf(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := plain(n.Content[i+1]); n.Content[i].Value == "items" && v.Kind == yaml.SequenceNode {
			return v
		}
	}
	return nil
}

// plain is a node, or what it is an alias of.
func plain(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// reading reads one document.
type reading struct {
	schema *Schema
	doc    *Document
	faults Faults
}

func (r *reading) fault(n *yaml.Node, path, format string, args ...any) {
	r.faults = append(r.faults, Fault{File: r.doc.File, Line: n.Line, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reading) document(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "", "A document is a connection: lines of the form “name: value”.")
		return
	}
	root := r.schema.root
	known := maps.Clone(root.Properties)
	known["agent"] = shape{Type: kinds{"string"}}
	r.doc.fields = map[string]any{}
	for _, f := range r.fields(n, "") {
		of, ok := known[f.name]
		switch {
		case !ok:
			r.fault(f.key, f.name, "There is no such field.%s", suggest(f.name, r.writable(known)))
		case f.name == "secrets":
			r.secrets(f.value)
		case f.name == "agent":
			r.doc.agent, _ = r.value(of, f.value, "agent").(string)
			r.doc.lines["agentId"] = f.key.Line
		case of.ReadOnly && f.name != "id":
			// As a read of the API has it; a document does not say it.
		default:
			r.doc.fields[f.name] = r.value(of, f.value, f.name)
		}
	}
	if r.doc.agent != "" && r.doc.fields["agentId"] != nil {
		r.fault(n, "agent", "There is an agentId as well: keep one of the two.")
	}
}

func (r *reading) writable(known map[string]shape) []string {
	return slices.DeleteFunc(names(known), func(name string) bool { return known[name].ReadOnly })
}

// field is one field of a mapping.
type field struct {
	name       string
	key, value *yaml.Node
}

// fields are those of a mapping, what it merges (<<) included. A name that
// comes twice is a fault.
func (r *reading) fields(n *yaml.Node, path string) []field {
	var found, merged []field
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], plain(n.Content[i+1])
		if key.Tag == "!!merge" {
			sources := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				sources = value.Content
			}
			for _, from := range sources {
				if from = plain(from); from.Kind == yaml.MappingNode {
					merged = append(merged, r.fields(from, path)...)
				}
			}
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.fault(key, below(path, key.Value), "It stands in line %d already.", line)
			continue
		}
		seen[key.Value] = key.Line
		r.doc.lines[below(path, key.Value)] = key.Line
		found = append(found, field{key.Value, key, value})
	}
	for _, f := range merged { // the first to say something has it
		if _, have := seen[f.name]; !have {
			seen[f.name] = f.key.Line
			found = append(found, f)
		}
	}
	return found
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// value is a node as JSON has it. Where a string belongs, a number or a truth
// value is taken as it is written: success values such as true or 12.50 are
// meant as text.
func (r *reading) value(of shape, n *yaml.Node, path string) any {
	of, n = r.schema.resolve(of), plain(n)
	r.doc.lines[path] = cmp.Or(r.doc.lines[path], n.Line)
	switch n.Kind {
	case yaml.MappingNode:
		return r.object(of, n, path)
	case yaml.SequenceNode:
		items := []any{}
		for i, item := range n.Content {
			var each shape
			if of.Items != nil {
				each = *of.Items
			}
			items = append(items, r.value(each, item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return items
	}
	return r.scalar(of, n, path)
}

func (r *reading) object(of shape, n *yaml.Node, path string) any {
	values, free := of.values()
	out := map[string]any{}
	for _, f := range r.fields(n, path) {
		each, known := of.Properties[f.name]
		if !known && !free && len(of.Properties) > 0 {
			r.fault(f.key, below(path, f.name), "There is no such field.%s", suggest(f.name, names(of.Properties)))
			continue
		}
		if !known {
			each = values
		}
		out[f.name] = r.value(each, f.value, below(path, f.name))
	}
	return out
}

func (r *reading) scalar(of shape, n *yaml.Node, path string) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!str", "!!timestamp":
		return n.Value
	case "!!bool", "!!int", "!!float":
		if of.is("string") {
			return n.Value
		}
		var v any
		if n.Tag != "!!bool" && json.Valid([]byte(n.Value)) {
			return json.Number(n.Value) // as it is written
		}
		if n.Decode(&v) == nil && marshals(v) {
			return v
		}
	}
	r.fault(n, path, "A value of the kind %s can't stand here.", n.Tag)
	return nil
}

// marshals reports whether JSON has the value: it has no infinity.
func marshals(v any) bool {
	_, err := json.Marshal(v)
	return err == nil
}

// secrets reads the secrets, of which only references may stand in a file.
func (r *reading) secrets(n *yaml.Node) {
	if n = plain(n); n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, "secrets", "Must be an object: a line for each secret.")
		return
	}
	for _, f := range r.fields(n, "secrets") {
		path := "secrets." + f.name
		switch v := f.value; {
		case v.Tag == "!!null":
			r.doc.secrets[f.name] = written{kind: removed, line: f.key.Line}
		case v.Kind == yaml.ScalarNode:
			r.doc.secrets[f.name] = written{text: v.Value, line: f.key.Line}
		case v.Kind == yaml.MappingNode && len(v.Content) == 2 && v.Content[0].Value == "set" && plain(v.Content[1]).Value == "true":
			r.doc.secrets[f.name] = written{kind: kept, line: f.key.Line}
		default:
			r.fault(f.key, path, "Write ${env:NAME}, ${file:PATH}, {set: true} to keep what the relay has, or null to remove it.")
		}
	}
}
