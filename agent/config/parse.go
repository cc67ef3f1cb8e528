package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/nearest"
)

// longestFile bounds what is read, in bytes: nobody writes a megabyte of
// settings, and a path may lead to a device.
const longestFile = 1 << 20

// ReadFile reads the text of an agent.yaml.
func ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longestFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > longestFile {
		return nil, fmt.Errorf("%s is longer than 1 MiB, which no configuration is", path)
	}
	return text, nil
}

// parse reads YAML into c. Its error is *Faults: all that is wrong, each with
// its line.
func (c *Config) parse(text string) error {
	_, err := c.parseLines(text)
	return err
}

// parseLines is parse, and says on which line each key stands.
func (c *Config) parseLines(text string) (map[string]int, error) {
	r := &reader{lines: map[string]int{}}
	if top := r.document([]byte(text)); top != nil {
		r.mapping("", top, reflect.ValueOf(c).Elem())
	}
	return r.lines, r.faults.in("")
}

// reader goes through a file and collects what is wrong with it.
type reader struct {
	faults Faults
	lines  map[string]int // of the top keys
}

// document is the topmost node; nil where there is none, or none can be read.
func (r *reader) document(text []byte) *yaml.Node {
	if !r.readable(text) {
		return nil
	}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil
	case err != nil:
		if !r.tabs(text) {
			f := faultOf(0, err.Error())
			f.Text = "this is not YAML: " + f.Text
			r.faults.List = append(r.faults.List, f)
		}
		return nil
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.faults.add(second.Line, "more than one document: take this line out, and what follows it")
	}
	top := doc.Content[0]
	if isNull(top) {
		return nil
	}
	if top.Kind != yaml.MappingNode {
		r.faults.add(top.Line, `expected keys and values, such as "logLevel: debug"`)
		return nil
	}
	return top
}

// readable reports whether the text is UTF-8.
func (r *reader) readable(text []byte) bool {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		r.faults.add(1, "the file is in UTF-16: save it as UTF-8")
		return false
	}
	for number, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			r.faults.add(number+1, "this line is not UTF-8: save the file as UTF-8")
			return false
		}
	}
	return true
}

// tabs finds the lines that are indented by tabs, which YAML forbids. It is
// asked only of a text that YAML can't read, and reports whether there are any.
func (r *reader) tabs(text []byte) (found bool) {
	for number, line := range bytes.Split(text, []byte("\n")) {
		rest := bytes.TrimLeft(line, " \t")
		if len(bytes.TrimSpace(rest)) > 0 && rest[0] != '#' && bytes.IndexByte(line[:len(line)-len(rest)], '\t') >= 0 {
			r.faults.add(number+1, "a tab in the indentation: YAML takes spaces only")
			found = true
		}
	}
	return found
}

// mapping reads the keys of a node into the fields of a struct. within names
// the section that it is, "" for the top.
func (r *reader) mapping(within string, node *yaml.Node, into reflect.Value) {
	fields := fieldsOf(into)
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !r.key(within, key, seen) {
			continue
		}
		field, known := fields[key.Value]
		if !known {
			r.faults.add(key.Line, "%sunknown key %q; did you mean %q?", section(within), shown(key.Value), nearest.Of(key.Value, namesOf(into)...))
			continue
		}
		if within == "" {
			r.lines[key.Value] = key.Line
		}
		r.value(join(within, key.Value), value, field)
	}
}

// key reports whether a key is one, and stands there for the first time.
func (r *reader) key(within string, key *yaml.Node, seen map[string]int) bool {
	if key.Kind != yaml.ScalarNode {
		r.faults.add(key.Line, "%sexpected a key and its value, such as \"logLevel: debug\"", section(within))
		return false
	}
	if first, twice := seen[key.Value]; twice {
		r.faults.add(key.Line, "%skey %q stands on line %d already", section(within), shown(key.Value), first)
		return false
	}
	seen[key.Value] = key.Line
	return true
}

// value reads a node into a field. A value that is left out leaves the default.
func (r *reader) value(name string, node *yaml.Node, into reflect.Value) {
	if node.Kind == yaml.AliasNode {
		r.faults.add(node.Line, "%s: expected the value itself in place of *%s", name, shown(node.Value))
		return
	}
	if isNull(node) {
		return
	}
	if own, ok := into.Addr().Interface().(yaml.Unmarshaler); ok {
		if err := own.UnmarshalYAML(node); err != nil {
			r.faults.addErr(node.Line, err)
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		if r.kind(name, node, yaml.MappingNode, "keys and values below it") {
			r.mapping(name, node, into)
		}
	case reflect.Map:
		if r.kind(name, node, yaml.MappingNode, "names and values below it") {
			r.entries(name, node, into)
		}
	case reflect.Slice:
		if r.kind(name, node, yaml.SequenceNode, `a list, each entry on a line of its own that begins with "- "`) {
			r.list(name, node, into)
		}
	default:
		r.scalar(name, node, into)
	}
}

func (r *reader) kind(name string, node *yaml.Node, want yaml.Kind, words string) bool {
	if node.Kind != want {
		r.faults.add(node.Line, "%s: expected %s", name, words)
	}
	return node.Kind == want
}

// entries reads a mapping whose keys the file chooses.
func (r *reader) entries(name string, node *yaml.Node, into reflect.Value) {
	made := reflect.MakeMap(into.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if !r.key(name, key, seen) {
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		r.value(join(name, key.Value), node.Content[i+1], value)
		made.SetMapIndex(reflect.ValueOf(key.Value).Convert(into.Type().Key()), value)
	}
	into.Set(made)
}

func (r *reader) list(name string, node *yaml.Node, into reflect.Value) {
	made := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		r.value(name, item, made.Index(i))
	}
	into.Set(made)
}

// scalar reads text, a number, a duration, or true or false.
func (r *reader) scalar(name string, node *yaml.Node, into reflect.Value) {
	words, fits := "text", true
	switch {
	case into.Type() == reflect.TypeFor[time.Duration]():
		words, fits = "a duration such as 30s, 5m or 2h", node.ShortTag() == "!!str"
	case into.Kind() == reflect.Bool:
		words = "true or false"
	case into.CanInt(), into.CanUint():
		words, fits = "a whole number", node.ShortTag() == "!!int" // 1.5 would be cut
	case into.CanFloat():
		words = "a number"
	}
	before := reflect.New(into.Type()).Elem()
	before.Set(into)
	if node.Kind != yaml.ScalarNode || !fits || node.Decode(into.Addr().Interface()) != nil {
		into.Set(before)
		r.faults.add(node.Line, "%s: expected %s", name, words)
		return
	}
	if into.Kind() == reflect.String {
		if err := checkValue(name, into.String()); err != nil {
			r.faults.add(node.Line, "%s: %s", name, err)
		}
	}
}

// fieldsOf are a struct's fields by their keys in the file.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := make(map[string]reflect.Value, v.NumField())
	for i, name := range namesOf(v) {
		out[name] = v.Field(i)
	}
	return out
}

// namesOf are the keys of a struct's fields, in their order.
func namesOf(v reflect.Value) []string {
	out := make([]string, v.NumField())
	for i := range out {
		out[i], _, _ = strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
	}
	return out
}

// isNull reports whether nothing stands there.
func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// section is how a fault begins that is about a key of a section.
func section(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

func join(within, key string) string {
	if within == "" {
		return shown(key)
	}
	return within + "." + shown(key)
}

// shown is a key as an error quotes it.
func shown(key string) string {
	const most = 60
	if len(key) <= most {
		return key
	}
	return strings.ToValidUTF8(key[:most], "") + "…"
}
