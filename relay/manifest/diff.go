package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/relay/connection"
)

// Difference is one field that changes.
type Difference struct {
	Path     string
	Old, New string // as JSON, cut where they are long; "" where there is none
}

// Lines show the difference as a patch does.
func (d Difference) Lines() []string {
	var lines []string
	if d.Old != "" {
		lines = append(lines, "- "+d.Path+": "+d.Old)
	}
	if d.New != "" {
		lines = append(lines, "+ "+d.Path+": "+d.New)
	}
	return lines
}

// differences are the fields in which two connections differ, sorted by name.
func differences(path string, old, new any) []Difference {
	switch o := old.(type) {
	case map[string]any:
		if n, ok := new.(map[string]any); ok || new == nil {
			return differentFields(path, o, n)
		}
	case []any:
		if n, ok := new.([]any); ok || new == nil {
			return differentItems(path, o, n)
		}
	case nil:
		switch n := new.(type) {
		case map[string]any:
			return differentFields(path, nil, n)
		case []any:
			return differentItems(path, nil, n)
		}
	}
	before, after := shown(old), shown(new)
	if before == after {
		return nil
	}
	_, hadTyped := old.(typed)
	_, hasTyped := new.(typed)
	switch {
	case hadTyped && hasTyped:
		return []Difference{{Path: path, New: "(changed)"}}
	case hadTyped:
		before = "(set)"
	case hasTyped:
		after = "(set)"
	}
	before, after = aroundChange(before, after)
	return []Difference{{path, before, after}}
}

// typed is a credential that stands in a connection itself. It is compared, and
// not shown: differences go to the logs of whatever applies documents.
type typed string

// hideTyped marks a connection's credentials; it changes the connection itself.
func hideTyped(fields map[string]any) map[string]any {
	connection.ReplaceTyped(fields, func(value string) any { return typed(value) })
	return fields
}

func differentFields(path string, old, new map[string]any) []Difference {
	all := map[string]bool{}
	for name := range old {
		all[name] = true
	}
	for name := range new {
		all[name] = true
	}
	var found []Difference
	for _, name := range slices.Sorted(maps.Keys(all)) {
		found = append(found, differences(below(path, name), old[name], new[name])...)
	}
	return found
}

// differentItems leaves out what two lists have in common at their ends, so that
// one that is put in is not shown as a change of all that follow.
func differentItems(path string, old, new []any) []Difference {
	same := func(a, b any) bool { return shown(a) == shown(b) }
	begin, end := 0, 0
	for begin < min(len(old), len(new)) && same(old[begin], new[begin]) {
		begin++
	}
	for end < min(len(old), len(new))-begin && same(old[len(old)-1-end], new[len(new)-1-end]) {
		end++
	}
	var found []Difference
	for i := begin; i < max(len(old), len(new))-end; i++ {
		var was, is any
		if i < len(old)-end {
			was = old[i]
		}
		if i < len(new)-end {
			is = new[i]
		}
		found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), was, is)...)
	}
	return found
}

// shown is a value as JSON; "" for none.
func shown(v any) string {
	if v == nil {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const (
	shownRunes  = 160 // of a value
	beforeRunes = 40  // of what two values have in common before they differ
)

// aroundChange cuts two values to where they differ.
func aroundChange(old, new string) (string, string) {
	a, b := []rune(old), []rune(new)
	if len(a) <= shownRunes && len(b) <= shownRunes {
		return old, new
	}
	common := 0
	for common < min(len(a), len(b)) && a[common] == b[common] {
		common++
	}
	from := max(common-beforeRunes, 0)
	cut := func(r []rune) string {
		if len(r) == 0 {
			return ""
		}
		text := ""
		if from > 0 {
			text = "…"
		}
		text += string(r[from:min(from+shownRunes, len(r))])
		if from+shownRunes < len(r) {
			text += fmt.Sprintf("… (%d characters)", len(r))
		}
		return text
	}
	if !utf8.ValidString(old + new) {
		return old, new
	}
	return cut(a), cut(b)
}
