package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with an agent.yaml. Its text never quotes a
// value that may be a secret.
type Fault struct {
	Line int // from 1; 0: the file as a whole
	Text string
	// Told is Text as the relay may read it: the site's rules are not for it.
	// "": Text.
	Told string
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Text)
}

// Faults are all that is wrong with an agent.yaml, by line.
type Faults struct {
	File string // where it stands; "": it has no name
	List []Fault
}

// Error has a line for each fault, of the form that editors and compilers use:
// agent.yaml:12: what is wrong.
func (f *Faults) Error() string {
	lines := make([]string, len(f.List))
	for i, fault := range f.List {
		lines[i] = f.at(f.File, fault.Line) + fault.Text
	}
	return strings.Join(lines, "\n")
}

// Told is Error for the relay, with the file's bare name.
func (f *Faults) Told() string {
	lines := make([]string, len(f.List))
	for i, fault := range f.List {
		text := fault.Told
		if text == "" {
			text = fault.Text
		}
		lines[i] = f.at(FileName, fault.Line) + text
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) at(file string, line int) string {
	switch {
	case file != "" && line > 0:
		return fmt.Sprintf("%s:%d: ", file, line)
	case file != "":
		return file + ": "
	case line > 0:
		return fmt.Sprintf("line %d: ", line)
	}
	return ""
}

// in is the faults as those of a file, or nil where there are none.
func (f *Faults) in(file string) error {
	if len(f.List) == 0 {
		return nil
	}
	f.File = file
	slices.SortStableFunc(f.List, func(a, b Fault) int { return a.Line - b.Line })
	return f
}

// joined is the faults as one error, as addErr takes it; nil for none.
func (f *Faults) joined() error {
	errs := make([]error, len(f.List))
	for i, fault := range f.List {
		errs[i] = fault
	}
	return errors.Join(errs...)
}

func (f *Faults) add(line int, format string, args ...any) {
	f.List = append(f.List, Fault{Line: line, Text: fmt.Sprintf(format, args...)})
}

// addErr takes in what a section of the file said of itself: one Fault, several
// joined ones, or another error, which is then about the given line.
func (f *Faults) addErr(line int, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			f.addErr(line, each)
		}
		return
	}
	var fault Fault
	if !errors.As(err, &fault) {
		fault = faultOf(line, err.Error())
	}
	f.List = append(f.List, fault)
}

// lineOf matches how the YAML library, and packages that know nothing of this
// one, name a line in the text of an error.
var lineOf = regexp.MustCompile(`^(?:yaml: )?(.*?)\bline (\d+): `)

// faultOf is the fault whose line, if it names one, stands in the text.
func faultOf(line int, text string) Fault {
	if m := lineOf.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil {
			return Fault{Line: n, Text: m[1] + text[len(m[0]):]}
		}
	}
	return Fault{Line: line, Text: strings.TrimPrefix(text, "yaml: ")}
}
