package connection

import (
	"fmt"
	"strings"
)

// FieldError is one faulty field.
type FieldError struct {
	// Path is the field's place in the connection as the API writes it, such
	// as "auth.cookie.uri" or "headers[2].value".
	Path string `json:"path"`
	// Message is a sentence for the person who filled in the form: what is
	// wrong, and what to write instead.
	Message string `json:"message"`
}

// Invalid is the error of a connection that cannot be saved or tested. It
// holds every faulty field, not only the first, in the order of the form.
type Invalid struct {
	Fields []FieldError
}

func (e *Invalid) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Path + ": " + f.Message
	}
	return "invalid connection: " + strings.Join(parts, "; ")
}

// faults gathers field errors during a check.
type faults []FieldError

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (f faults) invalid() *Invalid {
	if len(f) == 0 {
		return nil
	}
	return &Invalid{Fields: f}
}
