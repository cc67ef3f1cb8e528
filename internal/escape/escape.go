// Package escape writes the value of a secret into the place where its
// placeholder stands, so that no value can break out of it: a quote in a
// password must not end the JSON string around it. It also knows the forms in
// which a value may come back, so that an echo can be masked.
//
// The relay fills in its connections' secrets with it, and the agent those of
// its own machine. It is pure, and imports nothing of ours.
package escape

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Kind is a way of escaping. Its text is what relay and agent call it between
// them.
type Kind string

// The kinds. New ones may be added; an agent refuses those that it does not know.
const (
	None      Kind = "none"       // plain text: as it is
	JSON      Kind = "json"       // the inside of a JSON string
	XML       Kind = "xml"        // XML text, or the inside of an attribute
	Form      Kind = "form"       // a value of application/x-www-form-urlencoded
	CSV       Kind = "csv"        // a CSV field (RFC 4180)
	CSVQuoted Kind = "csv-quoted" // the inside of a CSV field in quotes
	Header    Kind = "header"     // a header field's value: control characters are an error
	URI       Kind = "uri"        // anywhere in a URI: all but unreserved characters percent-encoded
	Basic     Kind = "basic"      // name or password before Basic credentials are encoded (RFC 7617)
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{None, JSON, XML, Form, CSV, CSVQuoted, Header, URI, Basic} }

// Apply writes value as the kind asks for. Its error is a phrase that goes on
// from "The value of X", and never holds the value.
func (k Kind) Apply(value string) (string, error) {
	switch k {
	case JSON:
		return jsonInside(value)
	case XML:
		return xmlText(value)
	case Form:
		return url.QueryEscape(value), nil
	case CSVQuoted:
		return strings.ReplaceAll(value, `"`, `""`), nil
	case CSV:
		doubled := strings.ReplaceAll(value, `"`, `""`)
		if strings.ContainsAny(value, "\",;\r\n") {
			return `"` + doubled + `"`, nil
		}
		return doubled, nil
	case Header, Basic: // Basic: RFC 7617, section 2, forbids them too
		for i := range len(value) {
			if c := value[i]; c < ' ' && (c != '\t' || k == Basic) || c == 0x7f {
				return "", errors.New("holds a line break or another control character, which no header can carry; remove it from the secret")
			}
		}
		return value, nil
	case URI:
		return percentEncode(value), nil
	case None:
		return value, nil
	}
	return "", fmt.Errorf("is to be escaped as %q, which is not known here", string(k))
}

func jsonInside(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("is not valid UTF-8, which JSON must be")
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // <, > and & would only grow
	if err := enc.Encode(value); err != nil {
		return "", fmt.Errorf("can't be written in JSON: %w", err)
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1], nil
}

// xmlText escapes for text and attributes alike. Line breaks and tabs become
// references, because a parser would turn them into blanks in an attribute.
func xmlText(value string) (string, error) {
	var b strings.Builder
	for _, c := range value {
		switch {
		case c == '&':
			b.WriteString("&amp;")
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '"':
			b.WriteString("&quot;")
		case c == '\'':
			b.WriteString("&apos;")
		case c == '\t' || c == '\n' || c == '\r':
			fmt.Fprintf(&b, "&#%d;", c)
		case c < ' ' || c == utf8.RuneError || c == 0xFFFE || c == 0xFFFF:
			return "", errors.New("holds a character that XML can't carry")
		default:
			b.WriteRune(c)
		}
	}
	return b.String(), nil
}

// percentEncode encodes all but the unreserved characters of RFC 3986,
// section 2.3, so that the result means the same in a path and in a query.
func percentEncode(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		if Unreserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Unreserved reports whether a character stands for itself anywhere in a URI
// (RFC 3986, section 2.3).
func Unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
