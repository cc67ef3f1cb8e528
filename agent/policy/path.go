package policy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pathPattern is the path of a rule; nil parts: all paths.
type pathPattern struct{ parts []part }

// String is what follows host and ports: nothing for all paths.
func (p *pathPattern) String() string {
	if p.parts == nil {
		return ""
	}
	if len(p.parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, s := range p.parts {
		b.WriteByte('/')
		b.WriteString(encodeSegment(s))
	}
	return b.String()
}

// encodeSegment writes a segment so that it is read again as it is, with no more
// encoding than that and a reader's eye take.
func encodeSegment(s part) string {
	var b strings.Builder
	for _, c := range s.text {
		if strings.ContainsRune(`%?#"`, c) || !unicode.IsPrint(c) || unicode.IsSpace(c) || c == '*' && !s.wild && !s.deep {
			for _, octet := range []byte(string(c)) {
				fmt.Fprintf(&b, "%%%02X", octet)
			}
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// parsePath reads the path of a rule.
func parsePath(text string, deny bool) (pathPattern, error) {
	switch {
	case text == "":
		return pathPattern{}, nil
	case text[0] != '/':
		return pathPattern{}, faulty(text, "can't follow the host: what may is :PORT, then a path that begins with /")
	case text == "/" && deny:
		return pathPattern{}, faulty(text, "would leave all other paths open: leave the path out to deny them all")
	case text == "/":
		return pathPattern{parts: []part{}}, nil
	case strings.HasSuffix(text, "/"):
		return pathPattern{}, faulty(text, "ends with /: leave it out for this path alone, or write "+text+"** for all below it")
	}
	var p pathPattern
	for raw := range strings.SplitSeq(text[1:], "/") {
		s, err := parseSegment(raw)
		if err != nil {
			return pathPattern{}, err
		}
		if last := len(p.parts) - 1; s.deep && last >= 0 && p.parts[last].deep {
			continue
		}
		p.parts = append(p.parts, s)
	}
	if len(p.parts) == 1 && p.parts[0].deep {
		return pathPattern{}, nil
	}
	return p, nil
}

func parseSegment(raw string) (part, error) {
	if raw == "**" {
		return part{text: raw, deep: true}, nil
	}
	text, err := url.PathUnescape(raw)
	stars := strings.Count(raw, "*")
	switch {
	case raw == "":
		return part{}, faulty("//", "has nothing between its slashes: write one /")
	case err != nil || !isText(text):
		return part{}, faulty(raw, "is not encoded as a URL's path is: write a % itself as %25")
	case strings.ContainsAny(text, "/\\"):
		return part{}, faulty(raw, "has an encoded slash: write * or ** for a segment that may have one")
	case strings.Contains(text, ";"):
		return part{}, faulty(raw, "has a semicolon: leave it out with what follows, which is not compared")
	case text == "." || text == "..":
		return part{}, faulty(raw, "climbs: write the path that it leads to")
	case deepDecode(text) != text:
		return part{}, faulty(raw, "is encoded twice: write * for the segment")
	case strings.Contains(raw, "**"):
		return part{}, faulty(raw, "has ** beside other characters: write * for any part of a segment, and ** as a segment of its own")
	case stars > 0 && stars != strings.Count(text, "*"):
		return part{}, faulty(raw, "has * and %2A: write * for both")
	}
	return part{text: text, wild: stars > 0}, nil
}

// reading is a request's path as the rules see it.
type reading struct {
	plain []string // its segments, as most applications read them
	other []string // as some read them; nil: all read them alike
	fault error    // why no rule can tell where it leads; nil: one can
}

var (
	errClimbs  = errors.New("its path holds dot segments (. or ..), which climb")
	errText    = errors.New("its path is not encoded text")
	errNoPath  = errors.New("it has no path")
	errTooLong = errors.New("its path has too many segments")
)

// maxSegments bounds what matching a path can cost.
const maxSegments = 256

// readPath reads an encoded path. into has room for its segments.
func readPath(escaped string, into []string) reading {
	r := reading{plain: into[:0]}
	if escaped == "" {
		return r
	}
	if escaped[0] != '/' {
		r.fault = errNoPath
		return r
	}
	if strings.Count(escaped, "/") > maxSegments {
		r.fault = errTooLong
		return r
	}
	for raw := range strings.SplitSeq(escaped[1:], "/") {
		if r.segment(raw); r.fault != nil {
			return r
		}
	}
	return r
}

// segment adds what stands between two slashes.
func (r *reading) segment(raw string) {
	once := raw
	if strings.ContainsRune(raw, '%') {
		var err error
		if once, err = url.PathUnescape(raw); err != nil {
			r.fault = errText
			return
		}
	}
	if !isText(once) {
		r.fault = errText
		return
	}
	name, _, _ := strings.Cut(once, ";")
	if name == "." || name == ".." {
		r.fault = errClimbs
		return
	}
	if otherwise(once) {
		r.branch(once)
		if r.fault != nil {
			return
		}
	} else if r.other != nil && name != "" {
		r.other = append(r.other, name)
	}
	if name != "" {
		r.plain = append(r.plain, name)
	}
}

// otherwise says whether an application may read a decoded segment as something
// else than its text: encoded slashes and backslashes are separators to some,
// some decode twice, and Windows drops dots and spaces at the end of a name.
func otherwise(s string) bool {
	if strings.ContainsAny(s, "/\\%") {
		return true
	}
	name, _, _ := strings.Cut(s, ";")
	return name != "" && (name[len(name)-1] == '.' || name[len(name)-1] == ' ')
}

// branch adds the other reading of a segment.
func (r *reading) branch(once string) {
	if r.other == nil {
		r.other = slices.Clone(r.plain)
		if r.other == nil {
			r.other = []string{}
		}
	}
	deep := deepDecode(once)
	if !isText(deep) {
		r.fault = errText
		return
	}
	for s := range strings.FieldsFuncSeq(deep, func(c rune) bool { return c == '/' || c == '\\' }) {
		s, _, _ = strings.Cut(s, ";")
		trimmed := strings.TrimRight(s, ". ")
		if s == "." || s == ".." || trimmed == "" && s != "" {
			r.fault = errClimbs
			return
		}
		if trimmed != "" {
			r.other = append(r.other, trimmed)
		}
	}
	if len(r.other) > maxSegments {
		r.fault = errTooLong
	}
}

// deepDecode decodes until nothing is left to decode.
func deepDecode(s string) string {
	for range 8 {
		d, err := url.PathUnescape(s)
		if err != nil || d == s {
			return s
		}
		s = d
	}
	return "\x00" // no text: nobody encodes that often
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}
