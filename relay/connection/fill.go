package connection

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Escape says how the value of a secret is written where its placeholder
// stands, so that no value can break out of its place: a quote in a password
// must not end the JSON string around it.
type Escape int

const (
	EscapeNone   Escape = iota // plain text: as it is
	EscapeJSON                 // the inside of a JSON string
	EscapeXML                  // XML text, or the inside of an attribute
	EscapeForm                 // a value of application/x-www-form-urlencoded
	EscapeCSV                  // a CSV field, or the inside of a quoted one (RFC 4180)
	EscapeHeader               // a header field's value: control characters are an error
	EscapeURI                  // anywhere in a URI: all but unreserved characters percent-encoded
)

// EscapeFor is the escape of bodies of the media type.
func EscapeFor(m MediaType) Escape {
	switch m {
	case XML:
		return EscapeXML
	case URLEncoded:
		return EscapeForm
	case CSV:
		return EscapeCSV
	case Plain:
		return EscapeNone
	default:
		return EscapeJSON
	}
}

// Fill puts the values of secrets in the place of the placeholders in text,
// each escaped. It fails with a *PlaceholderError where one is malformed,
// names a secret that is not set, or has a value that cannot stand there; no
// error holds a value. A value is never looked at for placeholders itself.
func Fill(text string, escape Escape, secrets map[string]string) (string, error) {
	pieces, faults := splitPlaceholders(text)
	if len(faults) > 0 {
		return "", faults[0]
	}
	var b strings.Builder
	quotes := 0 // in the text so far, of the template and not of values
	for _, p := range pieces {
		if p.secret == "" {
			b.WriteString(p.text)
			quotes += strings.Count(p.text, `"`)
			continue
		}
		value, ok := secrets[p.secret]
		if !ok {
			return "", unset(p.secret)
		}
		written, err := escape.apply(value, quotes%2 == 1)
		if err != nil {
			shown := placeholderOpen + secretPrefix + p.secret + placeholderClose
			return "", &PlaceholderError{Placeholder: shown, Message: fmt.Sprintf("The value of %s %s.", shown, err)}
		}
		b.WriteString(written)
	}
	return b.String(), nil
}

func unset(name string) *PlaceholderError {
	shown := placeholderOpen + secretPrefix + name + placeholderClose
	return &PlaceholderError{Placeholder: shown, Message: fmt.Sprintf("The secret %s is not set: give it a value, or take %s out.", name, shown)}
}

// apply writes value in its place; quoted tells whether a double quote is open
// there, which only CSV needs to know.
func (e Escape) apply(value string, quoted bool) (string, error) {
	switch e {
	case EscapeJSON:
		return jsonInside(value)
	case EscapeXML:
		return xmlText(value)
	case EscapeForm:
		return url.QueryEscape(value), nil
	case EscapeCSV:
		doubled := strings.ReplaceAll(value, `"`, `""`)
		if !quoted && strings.ContainsAny(value, "\",;\r\n") {
			return `"` + doubled + `"`, nil
		}
		return doubled, nil
	case EscapeHeader:
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return "", fmt.Errorf("holds a line break or another control character, which no header can carry; remove it from the secret")
			}
		}
		return value, nil
	case EscapeURI:
		return percentEncode(value), nil
	default:
		return value, nil
	}
}

func jsonInside(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("is not valid UTF-8, which JSON must be")
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
			return "", fmt.Errorf("holds a character that XML can't carry")
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
		if isUnreserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
