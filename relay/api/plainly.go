package api

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// unknownField is the message of a field that a document does not have.
const unknownField = "There is no such field."

// What a value must be, each with what to write.
const (
	mustBeText    = `Must be text, such as "Plant 2".`
	mustBeBoolean = "Must be true or false, without quotes."
	mustBeWhole   = "Must be a whole number, such as 20, without quotes."
	mustBeNumber  = "Must be a number, such as 2.5, without quotes."
	mustBeList    = `Must be a list, such as ["one", "two"].`
	mustBeObject  = `Must be an object, such as {"name": "Plant 2"}.`
	mustBeTime    = "Must be a date and time, such as 2026-11-26T08:00:00Z."
	outOfRange    = "Must be a number closer to zero."
	inDigits      = "Must be a whole number in digits alone, such as 20."
	mustBeSecret  = `Must be text, {"set": true} to keep what is there, or null to remove it.`
)

// faultOf is one of huma's faults in our words.
func faultOf(detail *huma.ErrorDetail) FieldError {
	f := FieldError{Path: fieldPath(detail.Location), Message: plainly(detail.Message)}
	if detail.Message == validation.MsgExpectedMatchExactlyOneSchema && strings.HasPrefix(f.Path, "secrets.") {
		f.Message = mustBeSecret
	}
	if rest, ours := strings.CutPrefix(f.Message, "Must be "); ours && f.Path == "" {
		f.Message = "The body must be " + rest // no field's name stands before it
	}
	return f
}

// plainly says huma's messages, and those of strictJSON, in our words: what a
// value must be, and where that helps, an example.
func plainly(message string) string {
	switch message {
	case "":
		return ""
	case validation.MsgUnexpectedProperty:
		return unknownField
	case "unknown query parameter":
		return "There is no such parameter."
	case validation.MsgExpectedString:
		return mustBeText
	case validation.MsgExpectedBoolean:
		return mustBeBoolean
	case validation.MsgExpectedInteger:
		return mustBeWhole
	case validation.MsgExpectedNumber:
		return mustBeNumber
	case validation.MsgExpectedArray:
		return mustBeList
	case validation.MsgExpectedObject:
		return mustBeObject
	case validation.MsgExpectedRFC3339DateTime:
		return mustBeTime
	case validation.MsgExpectedMatchExactlyOneSchema:
		return "The value has none of the forms that are allowed here."
	case "expected at most one value, but received multiple values":
		return "Must be given once."
	// Parameters, which are text as they come.
	case "invalid boolean":
		return "Must be true or false."
	case "invalid integer":
		return "Must be a whole number, such as 20."
	case "invalid float", "invalid floating value":
		return "Must be a number, such as 2.5."
	}
	if strings.HasPrefix(message, "invalid date/time") {
		return mustBeTime
	}
	for _, w := range bounds {
		if n, found := strings.CutPrefix(message, w.huma); found {
			if n == "1" {
				return w.start + n + strings.Replace(w.end, "s.", ".", 1)
			}
			return w.start + n + w.end
		}
	}
	if list, found := strings.CutPrefix(message, `expected value to be one of "`); found {
		return "Must be " + alternatives(strings.Split(strings.TrimSuffix(list, `"`), ", ")) + "."
	}
	if rest, found := strings.CutPrefix(message, "expected required property "); found {
		name, _, _ := strings.Cut(rest, " ")
		return "The field " + name + " is missing."
	}
	if rest, found := strings.CutPrefix(message, "expected "); found {
		return "Must be " + rest + "."
	}
	return strings.ToUpper(message[:1]) + message[1:] + "."
}

// bounds are huma's messages that end in a number.
var bounds = []struct{ huma, start, end string }{
	{"expected number >= ", "Must be ", " or more."},
	{"expected number <= ", "Must be ", " or less."},
	{"expected number > ", "Must be more than ", "."},
	{"expected number < ", "Must be less than ", "."},
	{"expected length >= ", "Must have at least ", " characters."},
	{"expected length <= ", "Must have at most ", " characters."},
	{"expected array length >= ", "Must have at least ", " items."},
	{"expected array length <= ", "Must have at most ", " items."},
}

// alternatives is a choice in words: a, b or c.
func alternatives(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// plainMismatch says what a field must be that encoding/json could not fill in. Of
// numbers, that is what the schema does not tell of them: how large they may be, and
// that those without a fraction are written without an exponent.
func plainMismatch(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind() {
	case reflect.String:
		return mustBeText
	case reflect.Bool:
		return mustBeBoolean
	case reflect.Slice, reflect.Array:
		return mustBeList
	case reflect.Struct, reflect.Map:
		return mustBeObject
	case reflect.Float32, reflect.Float64:
		return outOfRange
	}
	if strings.ContainsAny(e.Value, "eE.") {
		return inDigits
	}
	return outOfRange
}

// isNumber reports whether a field of the type holds a number.
func isNumber(t reflect.Type) bool { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64 }
