package web

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// formView is the connection form as its template draws it.
type formView struct {
	ID        string // empty: a new connection
	SavedName string
	Action    string
	Version   int64
	Dirty     bool // differs from what is saved, from the start

	RedirectURI string // to be registered with an application that people sign in to

	Rail          []formStep
	Agents        agentOptions
	Headers       []headerRow
	Secrets       []secretRow
	BlankHeader   headerRow
	BlankSecret   secretRow
	Paste         string
	Removed       []string
	NameTaken     string
	ProblemsTitle string
	Problems      []problem
	Errors        map[string]string
	Test          *testView
	Comparison    *compareView
	Fill          fillView

	fields map[string]fieldView
}

// fieldView is one field with its value and its mistake.
type fieldView struct {
	Path, Label, Help, Placeholder string
	Class, InputClass, InputMode   string
	Value, Error                   string
	MaxLength, Rows                int
	Required, Focus                bool
	Choices                        []choice
}

type headerRow struct {
	Index                 int
	Name, Value           string
	NameError, ValueError string
	Focus, FocusValue     bool
}

type secretRow struct {
	Index              int
	Name, Value, Error string
	Set, Focus         bool
}

type problem struct{ Path, Label, Message string }

// Field is called by the template.
func (v formView) Field(path string) (fieldView, error) {
	f, ok := v.fields[path]
	if !ok {
		return f, fmt.Errorf("the form has no field %q", path)
	}
	return f, nil
}

// newFormView draws values with their mistakes. Mistakes are given in the
// paths of the spec; rows maps its header indices to the form's.
func newFormView(values formValues, rows []int, mistakes []connection.FieldError) formView {
	v := formView{
		Version: values.version, Paste: values.paste, Removed: values.removed,
		Errors: map[string]string{}, fields: map[string]fieldView{},
		BlankHeader: headerRow{Index: -1}, BlankSecret: secretRow{Index: -1},
	}
	focus := ""
	mistakes = slices.Clone(mistakes)
	slices.SortStableFunc(mistakes, func(a, b connection.FieldError) int { return place(a.Path) - place(b.Path) })
	for _, m := range mistakes {
		path := v.slot(m.Path, values, rows)
		if path == "" {
			v.Problems = append(v.Problems, problem{Message: m.Message})
			continue
		}
		if v.Errors[path] == "" {
			v.Errors[path] = m.Message
		} else {
			v.Errors[path] += " " + m.Message
		}
		v.Problems = append(v.Problems, problem{Path: path, Label: labelOf(path), Message: m.Message})
		if focus == "" {
			focus = path
		}
	}
	v.ProblemsTitle = "Nothing was saved. " + plural(len(v.Problems), "thing") + " to mend:"
	for _, f := range formFields() {
		v.fields[f.path] = fieldView{
			Path: f.path, Label: f.label, Help: f.help, Placeholder: f.placeholder, Class: f.class, InputClass: f.inputClass,
			InputMode: f.inputMode, MaxLength: f.maxLength, Rows: f.rows, Required: f.required, Choices: f.choices,
			Value: values.fields[f.path], Error: v.Errors[f.path], Focus: f.path == focus,
		}
	}
	for i, h := range values.headers {
		name, value := fmt.Sprintf("headers.%d.name", i), fmt.Sprintf("headers.%d.value", i)
		v.Headers = append(v.Headers, headerRow{Index: i, Name: h.Name, Value: h.Value,
			NameError: v.Errors[name], ValueError: v.Errors[value], Focus: focus == name, FocusValue: focus == value})
	}
	for i, s := range values.secrets {
		path := fmt.Sprintf("secrets.%d.name", i)
		v.Secrets = append(v.Secrets, secretRow{Index: i, Name: s.name, Value: s.value, Set: s.set, Error: v.Errors[path], Focus: focus == path})
	}
	v.Rail = formSteps()
	for i, step := range v.Rail {
		for path := range v.Errors {
			v.Rail[i].HasError = v.Rail[i].HasError || step.has(path)
		}
	}
	return v
}

// place is how far down the form a mistake is shown.
func place(path string) int {
	before := path
	switch {
	case strings.HasPrefix(path, "headers"):
		before = "auth.type"
	case strings.HasPrefix(path, "secrets"):
		fields := authFields()
		before = fields[len(fields)-1].path // below the section of whatever type
	default:
		path = wholeField(path)
		before = path
	}
	for i, f := range formFields() {
		if f.path == before {
			if before == path {
				return 2 * i
			}
			return 2*i + 1
		}
	}
	return -1 // not of a field: first
}

func (s formStep) has(path string) bool {
	for _, p := range s.prefixes {
		if path == p || strings.HasPrefix(path, p+".") {
			return true
		}
	}
	return false
}

// wholeField is the field of whose lines a path names one, such as
// "auth.custom.headers[2].value".
func wholeField(path string) string {
	whole, _, _ := strings.Cut(path, "[")
	return whole
}

var indexed = regexp.MustCompile(`^(headers)\[(\d+)\](?:\.(name|value))?$`)

// slot is where the form shows a mistake of the given path; empty where it has
// no place for it.
func (v formView) slot(path string, values formValues, rows []int) string {
	if m := indexed.FindStringSubmatch(path); m != nil {
		i, _ := strconv.Atoi(m[2])
		if i >= len(rows) {
			return ""
		}
		part := m[3]
		if part == "" {
			part = "name"
		}
		return fmt.Sprintf("headers.%d.%s", rows[i], part)
	}
	if name, ok := strings.CutPrefix(path, "secrets."); ok {
		for i, s := range values.secrets {
			if s.name == name || path == fmt.Sprintf("secrets.%d.name", i) {
				return fmt.Sprintf("secrets.%d.name", i)
			}
		}
		return ""
	}
	if path == "secrets" {
		return path
	}
	path = wholeField(path)
	for _, f := range formFields() {
		if f.path == path {
			return path
		}
	}
	return ""
}

func labelOf(path string) string {
	for _, f := range formFields() {
		if f.path == path {
			return f.label
		}
	}
	kind, rest, _ := strings.Cut(path, ".")
	row, part, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(row)
	switch {
	case err != nil:
		return "Secrets"
	case kind == "headers":
		return fmt.Sprintf("Header %d, %s", n+1, part)
	default:
		return fmt.Sprintf("Secret %d", n+1)
	}
}
