package probe

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"sallyport/relay/connection"
)

// cause is why a ping failed, for the hints.
type cause string

const (
	causeNone       cause = ""
	causeStatus     cause = "status"     // not a 2xx
	causeUnreadable cause = "unreadable" // no document in which to look
	causeNothing    cause = "nothing"    // the path finds nothing
	causeFalsy      cause = "falsy"      // it finds something, which says no
	causeNoMatch    cause = "no_match"   // none of the expected values
)

// verdict is what a ping's answer says.
type verdict struct {
	ok      bool
	cause   cause
	message string   // one sentence
	doc     document // where it was read
	found   []value
}

// answer is what a verdict is made from.
type answer struct {
	method    string
	status    int
	header    http.Header
	body      []byte
	truncated bool
}

// judge tells whether a ping succeeded. In order: the status; no path, that is
// all; a path that finds nothing fails; without values what it finds must be
// truthy; with values one must match.
func judge(p connection.Ping, m connection.MediaType, a answer) verdict {
	answered := fmt.Sprintf("The ping was answered %s", statusText(a.status))
	if a.status < 200 || a.status > 299 {
		return verdict{cause: causeStatus, message: answered + "."}
	}
	if p.SuccessPath == "" {
		return verdict{ok: true, message: answered + "."}
	}
	if a.method == http.MethodHead {
		return verdict{cause: causeUnreadable, message: answered + ", but an answer to HEAD has no body in which to look up " + p.SuccessPath + "."}
	}
	doc, err := readDocument(a.header.Get("Content-Type"), m, a.body, a.truncated)
	v := verdict{doc: doc}
	switch {
	case err != nil:
		v.cause, v.message = causeUnreadable, fmt.Sprintf("%s, but %s can't be looked up in its body: %s.", answered, p.SuccessPath, phrase(err))
		return v
	case doc.format == formatUnknown || doc.format == formatHTML:
		v.cause, v.message = causeUnreadable, fmt.Sprintf("%s, but %s can't be looked up in its body, which is %s.", answered, p.SuccessPath, doc.format)
		return v
	}
	if v.found, err = doc.find(p.SuccessPath); err != nil {
		v.cause, v.message = causeUnreadable, fmt.Sprintf("%s in %s, but: %s.", answered, doc.format, phrase(err))
		return v
	}
	if len(v.found) == 0 {
		v.cause, v.message = causeNothing, fmt.Sprintf("%s, but nothing is found at %s%s.", answered, p.SuccessPath, complaint(doc))
		return v
	}
	if len(p.SuccessValues) == 0 {
		return v.judgeTruth(p, answered)
	}
	return v.judgeValues(p, answered)
}

func (v verdict) judgeTruth(p connection.Ping, answered string) verdict {
	for _, f := range v.found {
		if f.truthy() {
			v.ok, v.message = true, fmt.Sprintf("%s, and %s is %s.", answered, p.SuccessPath, show(f.text))
			return v
		}
	}
	v.cause, v.message = causeFalsy, fmt.Sprintf("%s, but %s is %s%s.", answered, p.SuccessPath, showAll(v.found), complaint(v.doc))
	return v
}

func (v verdict) judgeValues(p connection.Ping, answered string) verdict {
	for _, f := range candidates(v.found) {
		for _, want := range p.SuccessValues {
			if f.text == want {
				v.ok, v.message = true, fmt.Sprintf("%s, and %s is %s.", answered, p.SuccessPath, show(f.text))
				return v
			}
		}
	}
	wanted := make([]string, 0, len(p.SuccessValues))
	for _, want := range p.SuccessValues[:min(len(p.SuccessValues), 5)] {
		wanted = append(wanted, show(want))
	}
	if len(p.SuccessValues) > 5 {
		wanted = append(wanted, "…")
	}
	v.cause, v.message = causeNoMatch, fmt.Sprintf("%s, but %s is %s, where %s was expected%s.",
		answered, p.SuccessPath, showAll(v.found), strings.Join(wanted, " or "), complaint(v.doc))
	return v
}

// candidates are the values that may match: each value found, and of an array
// each element.
func candidates(found []value) []value {
	var all []value
	for _, f := range found {
		all = append(all, f)
		all = append(all, f.elements...)
	}
	return all
}

// truthy: not false, 0, "", "false", null, [] or {}.
func (v value) truthy() bool {
	switch v.kind {
	case kindNull:
		return false
	case kindArray, kindObject:
		return !v.empty
	case kindNumber:
		return !isZero(v.text)
	case kindNode:
		// XML has no types, so that <ok>0</ok> can only mean the number.
		text := strings.TrimSpace(v.text)
		return !v.empty && text != "false" && text != "0"
	default:
		return v.text != "" && v.text != "false"
	}
}

// isZero reports whether a number is zero, however it is written (0, -0, 0.0,
// 0e5), or no number (XPath's NaN).
func isZero(text string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	return strings.Trim(mantissa, "-+0.") == "" || text == "NaN"
}

// showLength is how much of a value a message shows, in characters.
const showLength = 60

// show writes a value for a sentence, so that blanks at its ends are seen.
func show(text string) string {
	if utf8.RuneCountInString(text) > showLength {
		text = string([]rune(text)[:showLength]) + "…"
	}
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c != ' ' && unseen(c) {
			return '␣'
		}
		return c
	}, text)
	return "“" + text + "”"
}

func showAll(found []value) string {
	shown := make([]string, 0, 3)
	for _, f := range found[:min(len(found), 3)] {
		shown = append(shown, show(f.text))
	}
	if len(found) > 3 {
		shown = append(shown, fmt.Sprintf("%d more", len(found)-3))
	}
	return strings.Join(shown, ", ")
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprint(status)
}

// phrase is an error as part of a sentence.
func phrase(err error) string { return strings.TrimSuffix(err.Error(), ".") }
