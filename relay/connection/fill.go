package connection

import (
	"fmt"
	"strings"

	"sallyport/internal/escape"
)

// Escape says how the value of a secret is written where its placeholder
// stands, so that no value can break out of its place.
type Escape = escape.Kind

// The escapes of the places in which placeholders may stand.
const (
	EscapeNone   = escape.None
	EscapeJSON   = escape.JSON
	EscapeXML    = escape.XML
	EscapeForm   = escape.Form
	EscapeCSV    = escape.CSV // Fill finds out whether quotes are open
	EscapeHeader = escape.Header
	EscapeURI    = escape.URI
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
// each escaped, and marks where the agent's own secrets are to stand. It fails
// with a *PlaceholderError where a placeholder is malformed, names a secret that
// is not set, or has a value that cannot stand there; no error holds a value. A
// value is never looked at for placeholders itself.
//
// Without marks (nil), a secret of the agent is an error.
func Fill(text string, e Escape, secrets map[string]string, marks *Marks) (string, error) {
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
		at := e
		if e == EscapeCSV && quotes%2 == 1 {
			at = escape.CSVQuoted
		}
		if p.agents {
			if marks == nil {
				return "", noAgent(p)
			}
			b.WriteString(marks.mark(p.secret, at))
			continue
		}
		value, ok := secrets[p.key()]
		if !ok && p.signIn {
			return "", unsigned(p)
		}
		if !ok {
			return "", unset(p.secret)
		}
		written, err := at.Apply(value)
		if err != nil {
			return "", &PlaceholderError{Placeholder: p.shown(), Message: fmt.Sprintf("The value of %s %s.", p.shown(), err)}
		}
		b.WriteString(written)
	}
	return b.String(), nil
}

// FillHeader is Fill for the value of a configured header. Basic credentials
// that are written as name and password, with the colon, are encoded (RFC 7617):
// base64 holds no colon, so they can't be meant as they are. Where a secret of
// the agent is among them, the agent encodes them.
func FillHeader(h Header, secrets map[string]string, marks *Marks) (string, error) {
	credentials, basic := basicCredentials(h)
	if !basic {
		return Fill(h.Value, EscapeHeader, secrets, marks)
	}
	return basicHeader(credentials, secrets, marks)
}

// basicCredentials are the name and password of an Authorization header that
// has them in plain text.
func basicCredentials(h Header) (string, bool) {
	if !strings.EqualFold(h.Name, "Authorization") {
		return "", false
	}
	scheme, rest, found := strings.Cut(h.Value, " ")
	rest = strings.TrimLeft(rest, " ")
	return rest, found && strings.EqualFold(scheme, "Basic") && strings.Contains(rest, ":")
}

func unset(name string) *PlaceholderError {
	shown := piece{secret: name}.shown()
	return &PlaceholderError{Placeholder: shown, Message: fmt.Sprintf("The secret %s is not set: give it a value, or take %s out.", name, shown)}
}

func noAgent(p piece) *PlaceholderError {
	return &PlaceholderError{Placeholder: p.shown(), Message: fmt.Sprintf("%s is filled in by an agent, and in cloud mode there is none: use {{secret.%s}}, or choose on-premise.", p.shown(), p.secret)}
}

func unsigned(p piece) *PlaceholderError {
	return &PlaceholderError{Placeholder: p.shown(), Message: fmt.Sprintf("%s is not known: the sign-in has not brought it.", p.shown())}
}
