package probe

import (
	"regexp"
	"slices"
	"strings"
)

// shellPiece is a stretch of text, or a variable in the place of a secret.
type shellPiece struct{ text, variable string }

// pieces cuts a text at the secrets in it. Placeholders of the agent's own
// secrets are secrets too: their values are known on its machine.
func (m *mask) pieces(text string) []shellPiece {
	text = escapedPlaceholder.ReplaceAllString(text, "{{$1}}")
	var found []namedStretch
	for _, needle := range m.needles {
		for at := 0; ; {
			i := strings.Index(text[at:], needle)
			if i < 0 {
				break
			}
			found = append(found, namedStretch{at + i, at + i + len(needle), m.names[needle]})
			at += i + len(needle)
		}
	}
	for _, at := range agentPlaceholder.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, namedStretch{at[0], at[1], "AGENT_" + variableName("SECRET", text[at[2]:at[3]])})
	}
	for _, pattern := range append(slices.Clone(sensitiveBody), sensitiveQuery) {
		for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
			if !strings.Contains(text[at[4]:at[5]], "{{agent.secret.") {
				found = append(found, namedStretch{at[4], at[5], fieldVariable(text[at[2]:at[3]])})
			}
		}
	}
	return cut(text, found)
}

// namedStretch is a secret's place in a text.
type namedStretch struct {
	from, to int
	name     string
}

// cut makes pieces of a text. Where stretches overlap, they are one, under the
// name of the longest.
func cut(text string, found []namedStretch) []shellPiece {
	slices.SortStableFunc(found, func(a, b namedStretch) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	var pieces []shellPiece
	at := 0
	for i := 0; i < len(found); {
		s := found[i]
		longest := s.to - s.from
		for i++; i < len(found) && found[i].from < s.to; i++ {
			if n := found[i].to - found[i].from; n > longest {
				longest, s.name = n, found[i].name
			}
			s.to = max(s.to, found[i].to)
		}
		if s.from > at {
			pieces = append(pieces, shellPiece{text: text[at:s.from]})
		}
		pieces = append(pieces, shellPiece{variable: s.name})
		at = s.to
	}
	if at < len(text) || len(pieces) == 0 {
		pieces = append(pieces, shellPiece{text: text[at:]})
	}
	return pieces
}

// headerPieces are those of a header field's value.
func (m *mask) headerPieces(name, value string) []shellPiece {
	pieces := m.pieces(value)
	if slices.ContainsFunc(pieces, func(p shellPiece) bool { return p.variable != "" }) || !strings.Contains(m.header(name, value), masked) {
		return pieces
	}
	variable := variableName("", name)
	if scheme, _, found := strings.Cut(value, " "); found && strings.EqualFold(name, "Authorization") {
		return []shellPiece{{text: scheme + " "}, {variable: "TOKEN"}}
	}
	return []shellPiece{{variable: variable}}
}

var (
	agentPlaceholder = regexp.MustCompile(`\{\{\s*agent\.secret\.([\w.\-]+)\s*\}\}`)
	wordOfField      = regexp.MustCompile(`[\w.\-]+`)
	notInVariable    = regexp.MustCompile(`[^A-Z0-9]+`)
)

// fieldVariable is the variable for a credential that was typed plainly into a
// field; pattern is what stands before it.
func fieldVariable(before string) string {
	return variableName("SECRET", wordOfField.FindString(before))
}

// variableName is the name of a shell variable for what is called so.
func variableName(prefix, name string) string {
	name = strings.Trim(notInVariable.ReplaceAllString(strings.ToUpper(name), "_"), "_")
	if prefix != "" {
		name = strings.TrimSuffix(prefix+"_"+name, "_")
	}
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "SECRET_" + name
	}
	return name
}
