package web

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"sallyport/relay/connection"
)

// piece is a stretch of a document: some text and, with a path, a value that
// can be picked.
type piece struct {
	Text, Value string
	Path        string   // by which a ping finds the value, the steadiest first
	Plain       string   // the value as a success value
	Ways        []string // other paths to it
}

// Do is what the value's button asks of the form.
func (p piece) Do() string { return pickAction(p.Path, p.Plain) }

// MoreWays are the other paths, one a line.
func (p piece) MoreWays() string { return strings.Join(p.Ways, "\n") }

// pickAction asks the form to take a path and values, one a line. A value that
// has lines of its own can't be expected: its path is taken alone.
func pickAction(path, values string) string { return "pick:" + path + "\n" + values }

// pickLimit is how many values are made into buttons; a longer document is
// shown as it is.
const pickLimit = 400

// pickDepth is how deeply a document may be nested.
const pickDepth = 30

// hidden stands in a shown body where a secret stood: it can't be expected.
const hidden = "••••"

// pickable lays out a JSON or XML document so that each plain value knows the
// path by which a ping finds it. Nil: neither, or too long.
func pickable(body string) []piece {
	if strings.HasPrefix(strings.TrimSpace(body), "<") {
		return pickableXML(body)
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber() // a number is shown as it stands
	l := &layout{decoder: d}
	var whole any
	look := json.NewDecoder(strings.NewReader(body))
	look.UseNumber()
	if look.Decode(&whole) != nil {
		return nil
	}
	if err := l.value(0, ways{}, whole); err != nil {
		return nil
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	l.flush()
	return l.pieces
}

// ways are the places of one value: by index, by what its list's element is
// called, and of all elements at once. The last two are set below a list only.
type ways struct{ index, named, all connection.JSONPlace }

func (w ways) member(name string) ways {
	return ways{w.index.Member(name), w.named.Member(name), w.all.Member(name)}
}

// paths are the distinct ones, the steadiest first: what is called so is found
// again after a list was sorted anew.
func (w ways) paths() []string {
	var paths []string
	for _, p := range []connection.JSONPlace{w.named, w.index, w.all} {
		if path := p.String(); len(paths) == 0 || paths[0] != path && paths[len(paths)-1] != path {
			paths = append(paths, path)
		}
	}
	return paths
}

type layout struct {
	decoder *json.Decoder
	pieces  []piece
	text    strings.Builder
	values  int
}

func (l *layout) flush() {
	if l.text.Len() > 0 {
		l.pieces = append(l.pieces, piece{Text: l.text.String()})
		l.text.Reset()
	}
}

var errTooMany = errors.New("too many values")

func (l *layout) value(depth int, at ways, v any) error {
	token, err := l.decoder.Token()
	if err != nil {
		return err
	}
	if open, ok := token.(json.Delim); ok {
		if depth > pickDepth {
			return errTooMany
		}
		return l.container(open, depth, at, v)
	}
	shown, err := shownValue(token)
	if err != nil {
		return err
	}
	if l.values++; l.values > pickLimit {
		return errTooMany
	}
	p := piece{Text: l.text.String(), Value: shown, Plain: shown}
	if text, isText := token.(string); isText {
		p.Plain = text
		if strings.ContainsAny(text, "\r\n") {
			p.Plain = ""
		}
	}
	if !strings.Contains(shown, hidden) {
		paths := at.paths()
		p.Path, p.Ways = paths[0], paths[1:]
	}
	l.pieces = append(l.pieces, p)
	l.text.Reset()
	return nil
}

func (l *layout) container(open json.Delim, depth int, at ways, v any) error {
	object, _ := v.(map[string]any)
	list, _ := v.([]any)
	l.text.WriteString(open.String())
	n := 0
	for ; l.decoder.More(); n++ {
		if n > 0 {
			l.text.WriteByte(',')
		}
		l.line(depth + 1)
		var next ways
		var inner any
		if open == '{' {
			key, err := l.decoder.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			quoted, err := shownValue(name)
			if err != nil {
				return err
			}
			l.text.WriteString(quoted + ": ")
			next, inner = at.member(name), object[name]
		} else if n < len(list) {
			inner = list[n]
			next = ways{at.index.Index(n), at.named.Index(n), at.all.All()}
			if member, literal := called(list, n); member != "" {
				next.named = at.named.Where(member, literal)
			}
		}
		if err := l.value(depth+1, next, inner); err != nil {
			return err
		}
	}
	end, err := l.decoder.Token()
	if err != nil {
		return err
	}
	if n > 0 {
		l.line(depth)
	}
	l.text.WriteString(end.(json.Delim).String())
	return nil
}

// names are members by which the elements of a list are told apart, the best
// first.
var names = []string{"name", "id", "key", "code", "type", "title", "label", "slug", "service", "component"}

// called finds a member whose value no other element of the list has, and that
// value as a literal of a filter.
func called(list []any, i int) (member, literal string) {
	object, ok := list[i].(map[string]any)
	if !ok {
		return "", ""
	}
	for _, name := range names {
		value, has := object[name]
		switch text := value.(type) {
		case string:
			literal = connection.QuoteJSONPath(text)
			if text == "" || len(text) > 80 || strings.Contains(text, hidden) {
				continue
			}
		case json.Number:
			literal = text.String()
		default:
			continue
		}
		alone := has
		for j, other := range list {
			if o, ok := other.(map[string]any); ok && j != i && o[name] == value {
				alone = false
			}
		}
		if alone {
			return name, literal
		}
	}
	return "", ""
}

func (l *layout) line(depth int) {
	l.text.WriteByte('\n')
	l.text.WriteString(strings.Repeat("  ", depth))
}

// shownValue is a plain value as JSON, without the escapes that only HTML in
// scripts needs.
func shownValue(token any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(token)
	return strings.TrimSuffix(b.String(), "\n"), err
}
