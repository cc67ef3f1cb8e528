package policy

import "strings"

// glob says whether s has the form of pattern, in which * stands for any
// characters, none included. Its time is bounded by the product of the lengths.
func glob(pattern, s string) bool {
	star, mark := -1, 0 // the last * that was passed, and what it stood for up to now
	p := 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// part is one segment of a path or one label of a name in a pattern.
type part struct {
	text string
	wild bool // text is a pattern
	deep bool // any number of parts, none included
}

func (p *part) matches(s string, fold bool) bool {
	switch {
	case !p.wild && fold:
		return strings.EqualFold(p.text, s)
	case !p.wild:
		return p.text == s
	case p.text == "*":
		return true
	case fold:
		return glob(strings.ToLower(p.text), strings.ToLower(s))
	}
	return glob(p.text, s)
}

// matchParts is glob for parts.
func matchParts(pattern []part, s []string, fold bool) bool {
	star, mark := -1, 0
	p := 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p].deep:
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p].matches(s[i], fold):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for ; p < len(pattern); p++ {
		if !pattern[p].deep {
			return false
		}
	}
	return true
}
