package escape

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// Forms are s itself and what each usual way of escaping makes of it, for
// whoever looks for an echo of it. Some may be alike, or empty.
func Forms(s string) []string {
	forms := []string{s, strings.TrimSpace(s), url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s))}
	for _, k := range []Kind{XML, URI, CSV, CSVQuoted} {
		if written, err := k.Apply(s); err == nil {
			forms = append(forms, written)
		}
	}
	forms = append(forms, jsonForms(s)...)
	for _, f := range forms {
		if lower := upperEscape.ReplaceAllStringFunc(f, strings.ToLower); lower != f {
			forms = append(forms, lower)
		}
	}
	return forms
}

// nestedLength is the longest secret whose doubly escaped forms are looked for
// too. What is longer is a key or a certificate, and nobody echoes it quoted
// twice.
const nestedLength = 1 << 10

// Nested are Forms, and the forms of each of these: an echo of a JSON body
// within JSON. Each once, none empty.
func Nested(s string) []string {
	once := Forms(s)
	all := once
	if len(s) <= nestedLength {
		for _, f := range once {
			all = append(all, Forms(f)...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(f string) bool { return f == "" })
}

var upperEscape = regexp.MustCompile(`%[0-9A-F]{2}`)

// jsonForms are the ways in which encoders write s into a JSON string: with
// or without <, > and & as \u003c, with or without slashes escaped, and with or
// without letters beyond ASCII as \uXXXX.
func jsonForms(s string) []string {
	plain, err := JSON.Apply(s)
	if err != nil {
		return nil // not UTF-8: in no JSON
	}
	bases := []string{plain}
	if quoted, err := json.Marshal(s); err == nil {
		bases = append(bases, string(quoted[1:len(quoted)-1]))
	}
	var forms []string
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
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// Base64Within are the three texts one of which appears in the base64 of
// anything that holds s, such as "user:password": which one depends on how much
// stands before it. The characters that s shares with its neighbours are left
// out; what is too short to be told from chance is not returned.
func Base64Within(s string) []string {
	const shortest = 8 // characters: 48 bits
	var found []string
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), s...))
		from := (before*8 + 5) / 6
		to := (before + len(s)) * 8 / 6
		if to-from >= shortest {
			core := text[from:to]
			found = append(found, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
		}
	}
	return found
}
