// Package manifest keeps connections as files: it reads YAML and JSON documents
// of the API's own shape, works out what has to be created, changed and deleted
// at a relay, does so, and writes a relay's connections down as such files.
//
// It knows no field of a connection by itself, but for the few that say which
// connection a document is about. What fields there are comes from the OpenAPI
// document of the very relay, and what a document comes to, defaults included,
// from that relay's dry run. So a field that a newer relay has needs no change
// here, and a document is never judged by two sets of rules.
//
// The command line calls it; it prints nothing and asks nobody.
package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is what is wrong with a file, at a line of it.
type Fault struct {
	File    string
	Line    int    // 0: of the file as a whole
	Path    string // of the field, as the API names it; may be ""
	Message string
}

func (f Fault) String() string {
	at := f.File
	if f.Line > 0 {
		at = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Path != "" {
		return at + ": " + f.Path + ": " + f.Message
	}
	return at + ": " + f.Message
}

// Faults are everything that is wrong at once, so that it is mended in one go.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// orNil is the faults as an error, in the order of the files.
func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return f
}
