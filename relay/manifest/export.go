package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"sallyport/relay/client"
)

// Select says which connections are exported.
type Select struct {
	Owner string   // only those that it keeps; "": all
	Only  []string // only those with one of these ids, keys or names; none: all
}

// Export writes a relay's connections as documents that an apply takes back
// without a change. Secrets, which can't be read, stand as {set: true}. asJSON
// writes a list of JSON objects in place of YAML.
func (s *Schema) Export(ctx context.Context, c *client.Client, which Select, asJSON bool) ([]byte, error) {
	raw, err := readAll(ctx, c, "/api/v1/connections")
	if err != nil {
		return nil, err
	}
	agents, err := readAgents(ctx, c)
	if err != nil {
		return nil, err
	}
	var docs []*yaml.Node
	names := map[string]int{}
	found := map[string]bool{}
	for _, text := range raw {
		var c onFile
		if err := exact(text, &c); err != nil {
			return nil, err
		}
		names[c.text("name")]++
	}
	for _, text := range raw {
		var c onFile
		if err := exact(text, &c); err != nil {
			return nil, err
		}
		if !which.has(c, found) {
			continue
		}
		doc, err := s.export(text, c, agents, names[c.text("name")] > 1)
		if err != nil {
			return nil, fmt.Errorf("export %s: %w", c.title(), err)
		}
		docs = append(docs, doc)
	}
	for _, wanted := range which.Only {
		if !found[wanted] {
			return nil, fmt.Errorf("the relay has no connection with the id, key or name %q", wanted)
		}
	}
	if asJSON {
		return jsonList(docs)
	}
	return yamlDocuments(docs)
}

// has reports whether a connection is wanted, and notes by what.
func (w Select) has(c onFile, found map[string]bool) bool {
	if w.Owner != "" && c.text("managedBy") != w.Owner {
		return false
	}
	if len(w.Only) == 0 {
		return true
	}
	wanted := false
	for _, field := range []string{"id", "key", "name"} {
		if value := c.text(field); value != "" && slices.Contains(w.Only, value) {
			found[value], wanted = true, true
		}
	}
	return wanted
}

// export makes a document of a connection, its fields in the relay's order.
// sameName: its name alone does not say which it is.
func (s *Schema) export(text []byte, c onFile, agents agents, sameName bool) (*yaml.Node, error) {
	read, err := jsonNodes(text)
	if err != nil {
		return nil, err
	}
	from := read[0]
	doc := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	add := func(name string, value *yaml.Node) {
		doc.Content = append(doc.Content, scalar(name), value)
	}
	if c.text("key") == "" && sameName {
		add("id", scalar(c.id()))
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		name, value := from.Content[i].Value, from.Content[i+1]
		switch agent, known := agents.nameOf(c.text("agentId")); {
		case s.readOnly(name):
		case name == "agentId" && known:
			add("agent", scalar(agent))
		case name == "secrets":
			for _, v := range value.Content {
				if v.Kind == yaml.MappingNode {
					v.Style = yaml.FlowStyle
				}
			}
			add(name, value)
		default:
			add(name, value)
		}
	}
	readable(doc)
	return doc, nil
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// readable writes texts of several lines as such, where YAML gives them back to
// the byte, and in quotes otherwise.
func readable(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		switch {
		case isBlock(n.Value):
			n.Style = yaml.LiteralStyle
		case strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }):
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!float" {
		n.Tag = "" // a JSON number is one of YAML's, too
	}
	for _, item := range n.Content {
		readable(item)
	}
}

// isBlock reports whether a text can stand as a block.
func isBlock(text string) bool {
	if !strings.Contains(text, "\n") || text[0] == ' ' || text[0] == '\n' {
		return false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.TrimRight(line, " ") != line || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

func yamlDocuments(docs []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	for i, doc := range docs {
		if i > 0 {
			out.WriteString("---\n")
		}
		e := yaml.NewEncoder(&out)
		e.SetIndent(2)
		if err := e.Encode(doc); err != nil {
			return nil, err
		}
		if err := e.Close(); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// jsonList writes documents as a JSON list, fields in their order.
func jsonList(docs []*yaml.Node) ([]byte, error) {
	var out, indented bytes.Buffer
	out.WriteByte('[')
	for i, doc := range docs {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeJSON(&out, doc); err != nil {
			return nil, err
		}
	}
	out.WriteByte(']')
	if err := json.Indent(&indented, out.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		open, end := byte('{'), byte('}')
		if n.Kind == yaml.SequenceNode {
			open, end = '[', ']'
		}
		out.WriteByte(open)
		for i, item := range n.Content {
			switch {
			case n.Kind == yaml.MappingNode && i%2 == 1:
				out.WriteByte(':')
			case i > 0:
				out.WriteByte(',')
			}
			if err := writeJSON(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(end)
		return nil
	}
	if n.Tag != "!!str" {
		out.WriteString(n.Value)
		return nil
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(n.Value)
}
