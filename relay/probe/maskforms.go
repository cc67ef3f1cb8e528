package probe

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
)

// nestedLength is the longest secret whose doubly escaped forms are looked for
// too. What is longer is a key or a certificate, and nobody echoes it quoted
// twice.
const nestedLength = 1 << 10

// add hides s in every form in which it may be written, also where a form is
// quoted once more: an echo of a JSON body within JSON.
func (m *mask) add(s string) {
	if s == "" || m.known[s] {
		return
	}
	once := escapedForms(s)
	for _, f := range once {
		m.needle(f)
	}
	if len(s) > nestedLength {
		return
	}
	for _, f := range once {
		for _, twice := range escapedForms(f) {
			m.needle(twice)
		}
	}
}

func (m *mask) needle(s string) {
	if s != "" && !m.known[s] {
		m.known[s] = true
		m.needles = append(m.needles, s)
	}
}

// escapedForms are s itself and what each way of escaping makes of it.
func escapedForms(s string) []string {
	forms := []string{s, strings.TrimSpace(s), url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s), base64.StdEncoding.EncodeToString([]byte(s))}
	for _, e := range []connection.Escape{connection.EscapeXML, connection.EscapeURI, connection.EscapeCSV} {
		if filled, err := connection.Fill("{{secret.s}}", e, map[string]string{"s": s}); err == nil {
			forms = append(forms, filled)
		}
	}
	forms = append(forms, jsonForms(s)...)
	for _, f := range forms {
		if lower := lowerEscapes(f); lower != f {
			forms = append(forms, lower)
		}
	}
	return forms
}

// jsonForms are the ways in which encoders write s into a JSON string: with
// or without <, > and & as \u003c, with or without slashes escaped, and with or
// without letters beyond ASCII as \uXXXX.
func jsonForms(s string) []string {
	var forms []string
	plain, err := connection.Fill("{{secret.s}}", connection.EscapeJSON, map[string]string{"s": s})
	if err != nil {
		return nil // not UTF-8: in no JSON
	}
	bases := []string{plain}
	if quoted, err := json.Marshal(s); err == nil {
		bases = append(bases, string(quoted[1:len(quoted)-1]))
	}
	for _, base := range bases {
		slashed := strings.ReplaceAll(base, "/", `\/`)
		forms = append(forms, base, slashed, asciiJSON(base), asciiJSON(slashed))
	}
	return forms
}

// asciiJSON writes all beyond ASCII as \uXXXX, as many applications do.
func asciiJSON(inner string) string {
	var b strings.Builder
	for _, c := range inner {
		switch {
		case c < 0x80:
			b.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		}
	}
	return b.String()
}

var upperEscape = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerEscapes(s string) string { return upperEscape.ReplaceAllStringFunc(s, strings.ToLower) }
