// Package bytesize reads and writes sizes as a person writes them: a limit that
// was set to 1MB is not shown as 977 KiB.
package bytesize

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// unit is one that sizes are written in.
type unit struct {
	name  string
	bytes int64
}

// units are in order, the largest first.
var units = []unit{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1}}

// most is the largest size that is read, in bytes.
const most = 1 << 50

// Parse reads a size such as 1024, 10MB or 512KiB. Nothing and 0 are none.
func Parse(text string) (bytes int64, ok bool) {
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 {
		return 0, false
	}
	for _, u := range units {
		if strings.EqualFold(text[len(digits):], u.name) {
			return n * u.bytes, n <= most/u.bytes
		}
	}
	return n, text == digits && n <= most
}

// Exact is a size in the unit in which it is the shortest whole number, such as
// "10", "MB". Nothing is rounded.
func Exact(bytes int64) (number, of string) {
	best := slices.MinFunc(units, func(a, b unit) int {
		return cmp.Compare(digits(bytes, a), digits(bytes, b))
	})
	return strconv.FormatInt(bytes/best.bytes, 10), best.name
}

// Words is a size for a sentence, such as "10 MB".
func Words(bytes int64) string {
	number, of := Exact(bytes)
	return number + " " + of
}

// digits is how long the number of units is; of those that would have to be
// rounded, longer than any.
func digits(bytes int64, u unit) int {
	if bytes%u.bytes != 0 {
		return 99
	}
	return len(strconv.FormatInt(bytes/u.bytes, 10))
}
