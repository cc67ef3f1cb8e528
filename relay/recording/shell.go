package recording

import (
	"errors"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// maxSubstitutions is how often a text may hold what begins a substitution. The
// parser goes down one level for each, and no request that was copied has any.
const maxSubstitutions = 1000

// substitution begins what a shell computes, where it is not in single quotes.
var substitution = regexp.MustCompile("\\$[({\\[]|`|[<>@?*+!]\\(")

// shellWords are the words of the first curl command in a text for a POSIX
// shell or bash. Variables become placeholders, since guides write $TOKEN where
// the reader's own is meant; what would run another command is refused.
func shellWords(text string) ([]string, error) {
	if !strings.Contains(text, "curl") {
		return nil, notCurl(text)
	}
	if len(substitution.FindAllStringIndex(text, maxSubstitutions+1)) > maxSubstitutions {
		return nil, unreadable("The command computes too many values in the shell. Paste it with the values themselves in those places.")
	}
	var words []string
	found := false
	var err error
	for w, fault := range syntax.NewParser(syntax.Variant(syntax.LangBash)).WordsSeq(strings.NewReader(text)) {
		if err = fault; err != nil {
			break
		}
		if !found {
			found = isCurl(w.Lit())
			continue
		}
		word, refused := shellWord(w.Parts, false)
		if refused != nil {
			return nil, refused
		}
		words = append(words, word)
	}
	var wrong syntax.ParseError
	switch {
	case errors.As(err, &wrong) && !strings.HasSuffix(wrong.Text, "is not a valid word"): // else a pipe, or what follows the command
		return nil, unreadable("The command can't be read at line %d, column %d: %s. Copy it anew, whole: the menu entry in the browser is “Copy as cURL”.", wrong.Pos.Line(), wrong.Pos.Col(), wrong.Text)
	case err != nil && wrong.Text == "":
		return nil, unreadable("The command can't be read: %s. Copy it anew, whole.", err)
	case !found:
		return nil, notCurl(text)
	}
	return words, nil
}

func isCurl(name string) bool {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return strings.EqualFold(name, "curl") || strings.EqualFold(name, "curl.exe")
}

// notCurl says what was pasted in place of a command.
func notCurl(text string) error {
	switch {
	case strings.Contains(text, "Invoke-WebRequest") || strings.Contains(text, "Invoke-RestMethod"):
		return unreadable("This is a PowerShell command. In the browser, choose “Copy as cURL” in place of “Copy as PowerShell”.")
	case strings.Contains(text, "fetch("):
		return unreadable("This is a call of fetch. In the browser, choose “Copy as cURL” in place of “Copy as fetch”.")
	}
	return unreadable("The text has no curl command and is no HAR file. In the browser's network tab, right-click the login request and choose “Copy as cURL”.")
}

// shellWord is what a shell makes of one word.
func shellWord(parts []syntax.WordPart, quoted bool) (string, error) {
	var b strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(unescaped(part.Value, quoted))
		case *syntax.SglQuoted:
			text := part.Value
			if part.Dollar { // $'…', with the escapes of C
				var err error
				if text, _, err = expand.Format(&expand.Config{}, text, nil); err != nil {
					return "", unreadable("The command can't be read: %s.", err)
				}
			}
			b.WriteString(text)
		case *syntax.DblQuoted:
			text, err := shellWord(part.Parts, true)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
		case *syntax.ParamExp:
			if part.Param == nil || part.Excl || part.Length || part.Width || part.Index != nil || part.Slice != nil || part.Repl != nil || part.Exp != nil {
				return "", unreadable("The command computes a value in the shell. Paste it with the value itself in that place.")
			}
			b.WriteString(placeholder(secretName(part.Param.Value)))
		default:
			return "", unreadable("The command runs another one within it. Paste it with the values themselves in that place.")
		}
	}
	return b.String(), nil
}

// unescaped takes a shell's backslashes out: within double quotes they mean
// something before five characters only.
func unescaped(text string, quoted bool) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (!quoted || strings.IndexByte("$`\"\\\n", text[i+1]) >= 0) {
			if i++; text[i] == '\n' {
				continue // the line goes on
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func placeholder(name string) string { return "{{secret." + name + "}}" }
