package connection

import (
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/escape"
)

var (
	errDotSegment   = errors.New("must not hold “.” or “..” segments, encoded ones included; write the path without them")
	errBackslash    = errors.New("must not hold a backslash; write a slash, or %5C where a backslash is meant in a query")
	errControl      = errors.New("must not hold line breaks or other control characters; remove them")
	errPercent      = errors.New("has a “%” that is not followed by two hexadecimal digits; write %25 for a percent sign")
	errTooEncoded   = errors.New("is percent-encoded over and over; write it encoded once")
	errPathFragment = errors.New("must not hold a “#”; write it as %23")
)

// encodePath checks an escaped path and escapes what may not stand in one
// (blanks, letters beyond ASCII); what is escaped already stays as it is.
func encodePath(raw string) (string, error) {
	if strings.Contains(raw, `\`) {
		return "", errBackslash
	}
	if strings.ContainsRune(raw, '#') {
		return "", errPathFragment
	}
	encoded, err := encodeRest(raw, "/:@!$&'()*+,;=[]")
	if err != nil {
		return "", err
	}
	for segment := range strings.SplitSeq(encoded, "/") {
		if err := checkSegment(segment); err != nil {
			return "", err
		}
	}
	return encoded, nil
}

// encodeQuery does the same for a query, in which dots and backslashes mean
// nothing.
func encodeQuery(raw string) (string, error) {
	if strings.ContainsRune(raw, '#') {
		return "", errPathFragment
	}
	return encodeRest(raw, "/?:@!$&'()*+,;=[]")
}

// encodeRest percent-encodes what is neither unreserved, nor in also, nor an
// escape already.
func encodeRest(raw, also string) (string, error) {
	plain := 0
	for plain < len(raw) && (escape.Unreserved(raw[plain]) || strings.IndexByte(also, raw[plain]) >= 0) {
		plain++
	}
	if plain == len(raw) { // as most are
		return raw, nil
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", errPercent
			}
			b.WriteString(raw[i : i+3])
			i += 2
		case c < ' ' || c == 0x7f:
			return "", errControl
		case escape.Unreserved(c) || strings.IndexByte(also, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String(), nil
}

// decodings is how often an escape may be escaped again before a segment is
// refused outright. One is normal, two is a misconfigured client.
const decodings = 4

// checkSegment refuses a path segment that is a dot segment, or contains one
// once any server on the way has decoded it, however often. An encoded slash
// alone is allowed: many APIs put a path into one segment with it.
func checkSegment(segment string) error {
	for range decodings {
		for part := range strings.FieldsFuncSeq(segment, func(c rune) bool { return c == '/' || c == '\\' }) {
			// Servlet containers cut parameters off before they resolve dots
			// ("..;x/"), Windows drops blanks after them.
			name, _, _ := strings.Cut(part, ";")
			if name = strings.TrimRight(name, " \t"); name == "." || name == ".." {
				return errDotSegment
			}
		}
		decoded := decodeLeniently(segment)
		if decoded == segment {
			return nil
		}
		segment = decoded
		for i := range len(segment) {
			if segment[i] < ' ' || segment[i] == 0x7f {
				return errControl
			}
		}
	}
	return errTooEncoded
}

// decodeLeniently undoes one round of percent-encoding, as the most generous
// server would: a stray percent sign stays, and the overlong UTF-8 forms of
// dot and slash count as what old decoders take them for.
func decodeLeniently(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return overlong.Replace(b.String())
}

// overlong maps two-byte forms that RFC 3629 forbids, and full-width forms
// that Windows code pages fold, to the ASCII characters that they pose as.
var overlong = strings.NewReplacer(
	"\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`,
	"．", ".", "／", "/", "＼", `\`,
)

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
