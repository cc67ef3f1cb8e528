package egress

import "strings"

// challenge is one way to log in, as a proxy offers it (RFC 9110, section 11.6).
type challenge struct {
	scheme string            // as written
	token  string            // of NTLM and Negotiate: what is to be answered
	params map[string]string // by name in lower case
	text   string            // all behind the scheme, as written
}

// is compares the scheme, in which case does not matter.
func (c challenge) is(scheme string) bool { return strings.EqualFold(c.scheme, scheme) }

// String is the challenge for a person: a token means nothing to anybody.
func (c challenge) String() string {
	if realm := c.params["realm"]; realm != "" {
		return c.scheme + ` realm="` + printable([]byte(realm)) + `"`
	}
	return c.scheme
}

// parseChallenges reads the lines of a Proxy-Authenticate field. Challenges and
// their parameters are both separated by commas; a new challenge is told by a
// name that no "=" follows.
func parseChallenges(lines []string) []challenge {
	var all []challenge
	for _, line := range lines {
		for _, part := range splitUnquoted(line) {
			word, rest, _ := strings.Cut(part, " ")
			if word == "" {
				continue
			}
			rest = strings.TrimSpace(rest)
			startsScheme := !strings.Contains(word, "=") && !strings.HasPrefix(rest, "=")
			if startsScheme {
				all = append(all, challenge{scheme: printable([]byte(word)), params: map[string]string{}})
			} else {
				rest = part
			}
			if len(all) == 0 || rest == "" {
				continue
			}
			c := &all[len(all)-1]
			if c.text != "" {
				c.text += ", "
			}
			c.text += rest
			name, value, isParam := strings.Cut(rest, "=")
			// A token68 may end in "=", and holds no other.
			if startsScheme && (!isParam || strings.Trim(value, "=") == "") {
				c.token = rest
				continue
			}
			c.params[strings.ToLower(strings.TrimSpace(name))] = unquote(strings.TrimSpace(value))
		}
	}
	return all
}

// splitUnquoted splits at commas that are not within a quoted string.
func splitUnquoted(s string) []string {
	var parts []string
	quoted, escaped, start := false, false, 0
	for i, r := range s {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var out strings.Builder
	escaped := false
	for _, r := range s[1 : len(s)-1] {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		out.WriteRune(r)
	}
	return out.String()
}
