package recording

import "strings"

// isForCmd tells a command that was copied for Windows' command line: it escapes
// by carets, which mean nothing to other shells.
func isForCmd(text string) bool {
	if strings.Contains(text, `^"`) {
		return true
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasSuffix(strings.TrimRight(line, " \r"), " ^") {
			return true
		}
	}
	return false
}

// cmdWords are the words of a curl command for cmd.exe: first what cmd makes of
// its carets, then what a program's start-up code makes of quotes and
// backslashes.
func cmdWords(text string) ([]string, error) {
	words := windowsArguments(withoutCarets(strings.ReplaceAll(text, "\r\n", "\n")))
	for i, word := range words {
		if isCurl(word) {
			return words[i+1:], nil
		}
	}
	return nil, notCurl(text)
}

// withoutCarets undoes cmd's escaping. Outside of quotes, a caret takes the
// meaning of the character after it; before a line's end it joins the lines, and
// the character that then comes first stands for itself, also where it is a line
// break. Within quotes a caret is a caret.
func withoutCarets(text string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '^' && !quoted && i+1 < len(text):
			i++
			if text[i] != '\n' {
				b.WriteByte(text[i])
			} else if i+1 < len(text) {
				i++
				b.WriteByte(text[i])
			}
		case c == '"':
			quoted = !quoted
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// windowsArguments splits a command line as Microsoft's C runtime does:
// backslashes are themselves, but before a quote, where two are one and an odd
// one makes the quote a character; two quotes within quotes are one.
func windowsArguments(line string) []string {
	var words []string
	var word strings.Builder
	started, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			n := 0
			for i+n < len(line) && line[i+n] == '\\' {
				n++
			}
			started = true
			if i+n < len(line) && line[i+n] == '"' {
				word.WriteString(strings.Repeat(`\`, n/2))
				if n%2 == 1 {
					word.WriteByte('"')
					n++
				}
			} else {
				word.WriteString(strings.Repeat(`\`, n))
			}
			i += n - 1
		case c == '"' && quoted && i+1 < len(line) && line[i+1] == '"':
			word.WriteByte('"')
			i++
		case c == '"':
			started, quoted = true, !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
		default:
			started = true
			word.WriteByte(c)
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
