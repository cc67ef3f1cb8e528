package account

import (
	"strings"

	"sallyport/proto"
)

// Fault is a field that is not as it must be.
type Fault struct {
	Path    string // as the API writes it, such as email or expiresAt
	Message string // what is wrong, and what to write instead
}

// Invalid is the error of a person or a token that can't be made. It holds every
// faulty field, not only the first.
type Invalid struct{ Fields []Fault }

func (e *Invalid) Error() string { return e.Unwrap().Error() }

// Unwrap is the same in one text, a *proto.Error, for those who show it as a whole.
func (e *Invalid) Unwrap() error {
	messages := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		messages[i] = f.Message
	}
	return &proto.Error{Code: proto.CodeValidation, Detail: strings.Join(messages, " ")}
}

// faults gathers faulty fields during a check.
type faults []Fault

// check notes what is wrong with a field: a *proto.Error, or nil.
func (f *faults) check(path string, err error) {
	if e := proto.AsError(err); e != nil {
		*f = append(*f, Fault{Path: path, Message: strings.TrimSpace(e.Detail + " " + e.Hint)})
	}
}

// err is nil where nothing is wrong.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Invalid{Fields: f}
}
