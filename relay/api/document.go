package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/relay/account"
)

// document is a JSON body of type T. Huma describes it as T; what it holds is
// read by decode, which reports faults of form (unknown fields, wrong types)
// in a way that lets a caller add faults of content to the same answer.
type document[T any] struct{ raw []byte }

// UnmarshalJSON keeps the text; encoding/json has checked that it is JSON.
func (d *document[T]) UnmarshalJSON(text []byte) error {
	d.raw = bytes.Clone(text)
	return nil
}

// Schema is T's.
func (document[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// decode reads the document and reports every field that its schema does not
// know or that is of another type. The rest is decoded all the same.
func (d *document[T]) decode(r huma.Registry) (T, []FieldError) {
	var value T
	var loose any
	var mismatch *json.UnmarshalTypeError
	path := huma.NewPathBuffer([]byte{}, 0)
	var result huma.ValidateResult
	switch err := json.Unmarshal(d.raw, &loose); {
	case err == nil:
		huma.Validate(r, d.Schema(r), path, huma.ModeWriteToServer, loose, &result)
	case json.Unmarshal(d.raw, &value) == nil || !errors.As(err, &mismatch):
		return value, []FieldError{{Message: "The document can't be read: " + err.Error() + "."}}
	default: // a number beyond all others: below, the field that has it is named
	}
	var faults []FieldError
	for _, err := range result.Errors {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			faults = append(faults, faultOf(detail))
		}
	}
	switch err := json.Unmarshal(d.raw, &value); {
	case errors.As(err, &mismatch):
		// A number may fit the schema and not the field. Everything else is named by now.
		if path := withoutEmbedded(mismatch.Field); len(faults) == 0 || isNumber(mismatch.Type) && !named(faults, path) {
			faults = append(faults, FieldError{Path: path, Message: plainMismatch(mismatch)})
		}
	case err != nil && len(faults) == 0:
		faults = append(faults, FieldError{Message: err.Error()})
	}
	return value, faults
}

// strict is decode for documents whose form is all that can be faulty here.
func (d *document[T]) strict(r huma.Registry) (T, error) {
	value, faults := d.decode(r)
	if len(faults) > 0 {
		return value, invalid(faults)
	}
	return value, nil
}

// merged is the problem of form faults and those of content that err brings,
// with one message per field; of a document that is faulty as a whole, that alone.
func merged(form []FieldError, content []FieldError) *Problem {
	if len(form) > 0 && form[0].Path == "" {
		return invalid(form[:1])
	}
	seen := map[string]bool{}
	var all []FieldError
	for _, f := range append(form, content...) {
		if !seen[f.Path] {
			seen[f.Path] = true
			all = append(all, f)
		}
	}
	return invalid(all)
}

// mergedWith is merged, where what is wrong with a person or a token is an error, or
// nil.
func mergedWith(form []FieldError, content error) *Problem {
	var wrong *account.Invalid
	if errors.As(content, &wrong) {
		return merged(form, faultsOf(wrong))
	}
	return merged(form, nil)
}

// named reports whether a fault is about the field of a path as encoding/json writes
// it: without the numbers of a list's elements.
func named(faults []FieldError, path string) bool {
	return slices.ContainsFunc(faults, func(f FieldError) bool { return elementNumber.ReplaceAllString(f.Path, "") == path })
}

var elementNumber = regexp.MustCompile(`\[\d+\]`)

// fieldPath is huma's location without the word for the body.
func fieldPath(location string) string {
	if location == "body" {
		return ""
	}
	return strings.TrimPrefix(location, "body.")
}

// withoutEmbedded is encoding/json's path of a field without the embedded structs
// before it: a document has none of them, and no field with a capital at its front.
func withoutEmbedded(path string) string {
	for path != "" && path[0] >= 'A' && path[0] <= 'Z' {
		_, path, _ = strings.Cut(path, ".")
	}
	return path
}

// strictJSON is the one format of bodies: malformed text is reported with the
// line and column at which it goes wrong.
func strictJSON() huma.Format {
	return huma.Format{
		Marshal: func(w io.Writer, v any) error {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			return e.Encode(v)
		},
		Unmarshal: func(text []byte, v any) error {
			if !utf8.Valid(text) {
				return errors.New("the body is not UTF-8 text")
			}
			err := json.Unmarshal(text, v)
			var syntax *json.SyntaxError
			if !errors.As(err, &syntax) {
				return err
			}
			if len(bytes.TrimSpace(text)) == 0 || strings.HasPrefix(syntax.Error(), "unexpected end") {
				return errors.New("the JSON of the body ends too early: it was cut off, or a bracket or quote is not closed")
			}
			line, column := position(text, int(syntax.Offset))
			return fmt.Errorf("the body is not JSON: line %d, column %d: %s", line, column, syntax)
		},
	}
}

// position is the line and column of the byte before offset, from 1.
func position(text []byte, offset int) (line, column int) {
	before := text[:min(max(offset-1, 0), len(text))]
	line = bytes.Count(before, []byte("\n")) + 1
	column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return line, column
}
