package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// piece is a stretch of a JSON document: some text and, with a path, a value
// that can be picked.
type piece struct{ Text, Value, Path string }

// pickLimit is how many values are made into buttons; a longer document is
// shown as it is.
const pickLimit = 400

// pickable lays out a JSON document so that each plain value knows the path by
// which a ping finds it. Nil: not JSON, or too long.
func pickable(body string) []piece {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber() // a number is shown as it stands
	l := &layout{decoder: d}
	if err := l.value(0, ""); err != nil {
		return nil
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	l.flush()
	return l.pieces
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

func (l *layout) value(depth int, path string) error {
	token, err := l.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if depth > 30 {
			return errTooMany
		}
		return l.container(token, depth, path)
	default:
		shown, err := shownValue(token)
		if err != nil {
			return err
		}
		if l.values++; l.values > pickLimit {
			return errTooMany
		}
		l.pieces = append(l.pieces, piece{Text: l.text.String(), Value: shown, Path: cmp.Or(path, "$")})
		l.text.Reset()
		return nil
	}
}

func (l *layout) container(open json.Delim, depth int, path string) error {
	object := open == '{'
	l.text.WriteString(open.String())
	n := 0
	for ; l.decoder.More(); n++ {
		if n > 0 {
			l.text.WriteByte(',')
		}
		l.line(depth + 1)
		at := cmp.Or(path, "$") + "[" + strconv.Itoa(n) + "]"
		if object {
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
			at = member(path, name)
		}
		if err := l.value(depth+1, at); err != nil {
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

// member is the path of an object's member: dotted where that can be read,
// in brackets (RFC 9535, section 2.5.1) where it can't.
func member(path, name string) string {
	if plainName(name) {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	// JSON's escapes are JSONPath's too, but for the quotes.
	escaped, err := shownValue(name)
	if err != nil {
		return ""
	}
	inside := strings.ReplaceAll(escaped[1:len(escaped)-1], `\"`, `"`)
	quoted := "['" + strings.ReplaceAll(inside, "'", `\'`) + "']"
	if path == "" {
		return "$" + quoted
	}
	return path + quoted
}

func plainName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
