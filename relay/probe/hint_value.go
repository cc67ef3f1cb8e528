package probe

import (
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// values: the value was found, and is not one of those expected, but nearly.
func (e evidence) values() *advice {
	if e.verdict.cause != causeNoMatch {
		return nil
	}
	found := candidates(e.verdict.found)
	for _, near := range []func(value, string) *advice{nearCase, nearBlank, nearQuotes, nearNumber, nearCharset, nearType} {
		for _, f := range found {
			for i, want := range e.c.Ping.SuccessValues {
				h := near(f, want)
				if h == nil {
					continue
				}
				if h.Fix != nil {
					h.Fix.Field = fmt.Sprintf("ping.successValues[%d]", i)
				}
				return h
			}
		}
	}
	return nil
}

// expect is the fix that takes the value as it was found.
func expect(f value) *Fix { return &Fix{Label: "Expect " + shorten(f.text, 30), Value: f.text} }

// unseen are characters that no reader sees: what TrimSpace takes, the byte
// order mark, and blanks of no width.
func unseen(c rune) bool {
	return unicode.IsSpace(c) || c == '\ufeff' || c == '\u200b' || c == '\u200e' || c == '\u200f' || c == '\u2060'
}

func nearCase(f value, want string) *advice {
	if !strings.EqualFold(f.text, want) {
		return nil
	}
	return &advice{ID: "value-case", Text: fmt.Sprintf("Found %s, expected %s: upper and lower case count.", show(f.text), show(want)), Fix: expect(f)}
}

func nearBlank(f value, want string) *advice {
	if !strings.EqualFold(strings.TrimFunc(f.text, unseen), strings.TrimFunc(want, unseen)) {
		return nil
	}
	text := fmt.Sprintf("Found %s, expected %s: blanks and line breaks around a value count.", show(f.text), show(want))
	if strings.ContainsFunc(f.text+want, func(c rune) bool { return unseen(c) && !unicode.IsSpace(c) }) {
		text = fmt.Sprintf("Found %s, expected %s: there is a character around the value that can't be seen, such as a byte order mark.", show(f.text), show(want))
	}
	return &advice{ID: "value-blank", Text: text, Fix: expect(f)}
}

func nearQuotes(f value, want string) *advice {
	if want == "" || f.text != strings.Trim(want, `"'“”`) {
		return nil
	}
	return &advice{ID: "value-quotes", Text: fmt.Sprintf("Found %s, expected %s: write values without quotes.", show(f.text), show(want)), Fix: expect(f)}
}

// nearNumber: equal as numbers, written differently.
func nearNumber(f value, want string) *advice {
	a, ok := number(f.text)
	if !ok {
		return nil
	}
	b, ok := number(want)
	if !ok || a.Cmp(b) != 0 {
		return nil
	}
	return &advice{ID: "value-number", Text: fmt.Sprintf("Found %s, expected %s: numbers are compared as they are written.", show(f.text), show(want)), Fix: expect(f)}
}

// nearCharset: the value has letters that could not be read, where other letters
// were expected.
func nearCharset(f value, want string) *advice {
	if !strings.ContainsRune(f.text, utf8.RuneError) || !matchesUnread(f.text, want) {
		return nil
	}
	return &advice{ID: "charset", Text: fmt.Sprintf("Found %s, expected %s: the application writes its answer in another character set than it says. Choose a success value without such letters, or another path.", show(f.text), show(want))}
}

// matchesUnread compares texts, whatever stands for what could not be read.
func matchesUnread(found, want string) bool {
	f, w := []rune(found), []rune(want)
	if len(f) != len(w) {
		return false
	}
	for i := range f {
		if f[i] != w[i] && f[i] != utf8.RuneError {
			return false
		}
	}
	return true
}

// nearType: a number where text was expected, or the other way round.
func nearType(f value, want string) *advice {
	_, wantsNumber := number(want)
	switch {
	case f.kind == kindNumber && !wantsNumber:
		return &advice{ID: "value-type", Text: fmt.Sprintf("Found the number %s where the text %s was expected. If %s is how the application says yes, expect that.", f.text, show(want), f.text), Fix: expect(f)}
	case f.kind == kindText && wantsNumber:
		return &advice{ID: "value-type", Text: fmt.Sprintf("Found the text %s where the number %s was expected. If %s is how the application says yes, expect that.", show(f.text), want, show(f.text)), Fix: expect(f)}
	case f.kind == kindBool && wantsNumber:
		return &advice{ID: "value-type", Text: fmt.Sprintf("Found %s where the number %s was expected: write true or false.", f.text, want), Fix: expect(f)}
	case f.kind == kindObject:
		return &advice{ID: "value-object", Text: "The path finds an object, and values are compared with text, numbers, true, false or null. Let the path go on to one of its members."}
	}
	return nil
}

// number reads a decimal number of sane size.
func number(s string) (*big.Rat, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 40 || strings.ContainsAny(s, "/_xXpPoOnNiI") {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 4 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
