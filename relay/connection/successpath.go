package connection

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/antchfx/xpath"
	"github.com/theory/jsonpath"
)

// MaxSuccessPath is how long a success path may be, in characters.
const MaxSuccessPath = 500

// maxFanOut bounds how many times a path may branch ("..", "*", unions), so
// that no path can turn one small answer into billions of values.
const maxFanOut = 4

// PathError is a success path that cannot be read.
type PathError struct {
	Message string // a sentence for the person who filled in the form
}

func (e *PathError) Error() string { return e.Message }

func pathError(format string, args ...any) error {
	return &PathError{Message: fmt.Sprintf(format, args...)}
}

// JSONPath parses a success path for JSON answers. A bare dotted name means
// what it looks like: "data.user-id" is $.data['user-id']. It
// fails with a *PathError.
func JSONPath(path string) (*jsonpath.Path, error) {
	if len(path) > MaxSuccessPath {
		return nil, pathError("The path is longer than %d characters; shorten it.", MaxSuccessPath)
	}
	full, err := normalizeJSONPath(path)
	if err != nil {
		return nil, err
	}
	p, err := jsonpath.Parse(full)
	if err != nil {
		return nil, jsonPathError(path, err)
	}
	if fanOut(full) > maxFanOut {
		return nil, pathError("The path branches too often (“..”, “*” and commas, at most %d); name the value more exactly.", maxFanOut)
	}
	return p, nil
}

// jsonPathError says what is wrong with the path, and what was probably meant.
func jsonPathError(path string, err error) error {
	if rest, ok := strings.CutPrefix(path, "$."); ok {
		if meant, err := normalizeJSONPath(rest); err == nil {
			if _, err := jsonpath.Parse(meant); err == nil {
				return pathError("The path is not valid JSONPath; perhaps %s is meant.", meant)
			}
		}
	}
	detail := strings.TrimPrefix(err.Error(), "jsonpath: ")
	return pathError("The path is not valid JSONPath (RFC 9535): %s. Write a path such as ok, data.user.id or $.items[0].state.", detail)
}

// normalizeJSONPath writes a bare dotted name as JSONPath. What begins with "$"
// is JSONPath already.
func normalizeJSONPath(path string) (string, error) {
	if path == "$" || strings.HasPrefix(path, "$.") || strings.HasPrefix(path, "$[") {
		return path, nil
	}
	var b strings.Builder
	b.WriteByte('$')
	rest := path
	for first := true; rest != ""; first = false {
		if rest[0] == '[' {
			end := bracketEnd(rest)
			if end < 0 {
				return "", pathError("The path has a “[” that is not closed; add the “]”.")
			}
			b.WriteString(rest[:end])
			rest = rest[end:]
			continue
		}
		dots := ""
		if !first {
			if rest[0] != '.' {
				return "", pathError("The path has “%s” after a bracket; a dot or another bracket must follow there.", shorten(rest, 20))
			}
			rest = rest[1:]
			if strings.HasPrefix(rest, ".") {
				dots, rest = "..", rest[1:]
			}
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		rest = rest[end:]
		if name == "" {
			if dots != "" && strings.HasPrefix(rest, "[") {
				b.WriteString(dots)
				continue
			}
			return "", pathError("The path has a dot with no name before or after it; remove the dot, or write the name.")
		}
		if err := checkBareName(name); err != nil {
			return "", err
		}
		switch {
		case name == "*" || isShorthand(name):
			if dots == "" {
				dots = "."
			}
			b.WriteString(dots + name)
		default:
			b.WriteString(dots + "['" + name + "']")
		}
	}
	return b.String(), nil
}

// checkBareName refuses what cannot be told from a slip of the pen.
func checkBareName(name string) error {
	for _, c := range name {
		if unicode.IsSpace(c) {
			return pathError("The path has a blank in “%s”; write such a key in brackets: ['%s'].", shorten(name, 40), strings.ReplaceAll(shorten(name, 40), "'", `\'`))
		}
		if unicode.IsControl(c) || strings.ContainsRune(`'"()]{},?!<>=&|\`, c) || c == '*' && name != "*" {
			return pathError("The path has “%c” in “%s”; write a key with such characters in brackets: $['…'].", c, shorten(name, 40))
		}
	}
	return nil
}

// isShorthand reports whether RFC 9535, section 2.5.1.1, lets name stand after
// a dot.
func isShorthand(name string) bool {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// bracketEnd returns the index after the bracket that closes s[0], quotes and
// inner brackets skipped, or -1.
func bracketEnd(s string) int {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// quoted matches a quoted string of JSONPath or XPath.
var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`)

func fanOut(path string) int {
	bare := quoted.ReplaceAllString(path, "")
	if _, filter, found := strings.Cut(bare, "?"); found && strings.Contains(filter, "$") && (strings.Contains(filter, "..") || strings.ContainsAny(filter, "?*:")) {
		return maxFanOut + 1 // a search of the whole document for each element
	}
	return strings.Count(bare, "..")*2 + strings.Count(bare, "*") + strings.Count(bare, ",")
}

// axes matches the steps of an XPath that visit many nodes for each one.
var axes = regexp.MustCompile(`//|\b(?:descendant|descendant-or-self|ancestor|ancestor-or-self|following|preceding|following-sibling|preceding-sibling)\s*::`)

// XPath parses a success path for XML answers. It fails with a *PathError.
func XPath(path string) (*xpath.Expr, error) {
	if len(path) > MaxSuccessPath {
		return nil, pathError("The path is longer than %d characters; shorten it.", MaxSuccessPath)
	}
	if path == "" {
		return nil, pathError("The path is empty.")
	}
	if looksLikeJSONPath(path) {
		return nil, pathError("The path is JSONPath, and XML is searched by XPath; write a path such as /response/status or //status.")
	}
	expr, err := xpath.Compile(path)
	if err != nil {
		return nil, pathError("The path is not valid XPath: %s. Write a path such as /response/status or //status.", strings.TrimSuffix(err.Error(), "."))
	}
	bare := quoted.ReplaceAllString(path, "")
	wide := len(axes.FindAllString(bare, -1))
	for _, inner := range predicates(bare) {
		wide += 2 * len(axes.FindAllString(inner, -1))
	}
	if wide > maxFanOut/2 {
		return nil, pathError("The path searches the whole document too often (“//” and axes); name the way to the value.")
	}
	return expr, nil
}

// predicates returns what stands in the outermost brackets of an XPath without
// quoted strings.
func predicates(bare string) []string {
	var found []string
	for at := 0; at < len(bare); {
		i := strings.IndexByte(bare[at:], '[')
		if i < 0 {
			break
		}
		start := at + i
		end := bracketEnd(bare[start:])
		if end < 0 {
			break
		}
		found = append(found, bare[start:start+end])
		at = start + end
	}
	return found
}

func looksLikeJSONPath(path string) bool {
	return path == "$" || strings.HasPrefix(path, "$.") || strings.HasPrefix(path, "$[")
}

// looksLikeXPath reports whether path can only be meant as XPath.
func looksLikeXPath(path string) bool { return strings.HasPrefix(path, "/") }

// checkSuccessPath checks a success path for the media type. An answer is read
// by its own type, so a path that is plainly of the other language is judged
// by that one.
func checkSuccessPath(path string, m MediaType) error {
	if looksLikeXPath(path) || m == XML && !looksLikeJSONPath(path) {
		_, err := XPath(path)
		return err
	}
	_, err := JSONPath(path)
	return err
}
