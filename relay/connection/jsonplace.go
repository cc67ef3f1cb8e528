package connection

import (
	"slices"
	"strconv"
	"strings"
)

// JSONPlace is the way to one value in a JSON document, as steps of a JSONPath
// (RFC 9535). Its String is a success path, as short as it can be written.
type JSONPlace []string

// Member is the place of an object's member.
func (p JSONPlace) Member(name string) JSONPlace {
	step := "." + name
	if !isPlainName(name) {
		step = "['" + nameEscapes.Replace(name) + "']"
	}
	return append(slices.Clip(p), step)
}

// Index is the place of a list's element, counted from 0.
func (p JSONPlace) Index(i int) JSONPlace {
	return append(slices.Clip(p), "["+strconv.Itoa(i)+"]")
}

// All is the place of each of a list's elements.
func (p JSONPlace) All() JSONPlace { return append(slices.Clip(p), "[*]") }

// Where is the place of those elements of a list whose member has the value,
// given as it stands in JSON.
func (p JSONPlace) Where(member, value string) JSONPlace {
	left := JSONPlace{}.Member(member)
	return append(slices.Clip(p), "[?@"+left[0]+"=="+value+"]")
}

// String is bare where that will do: data.ok for $.data.ok.
func (p JSONPlace) String() string {
	path := strings.Join(p, "")
	if bare, dotted := strings.CutPrefix(path, "."); dotted {
		return bare
	}
	return "$" + path
}

// nameEscapes are those of a name in single quotes (RFC 9535, section 2.3.1.1).
var nameEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, "\f", `\f`)

// QuoteJSONPath writes a text as a literal of a filter.
func QuoteJSONPath(text string) string { return "'" + nameEscapes.Replace(text) + "'" }

// isPlainName reports whether a name can stand after a dot, also in a bare path.
func isPlainName(name string) bool {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
