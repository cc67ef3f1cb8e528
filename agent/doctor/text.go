package doctor

import (
	"fmt"
	"strings"
	"time"
)

// width is how wide a line of text may be: terminals have 80 columns.
const width = 78

// symbols stand beside the words of a status, for the eye; neither needs colour.
var symbols = map[Status]string{Pass: "✓", Warn: "!", Fail: "✗", Skip: "-"}

// Transcript turns results, as they come, into text for a person. The zero
// value begins one; End ends it.
type Transcript struct {
	skipped []string // names of checks that were skipped for one reason
	why     string
}

// Add is what to print for the next result, if anything yet: checks that were
// skipped for one reason share a line.
func (t *Transcript) Add(r Result) string {
	if r.Status == Skip && r.Message == t.why {
		t.skipped = append(t.skipped, r.Name)
		return ""
	}
	text := t.End()
	if r.Status == Skip && r.Name != CheckTarget {
		t.skipped, t.why = []string{r.Name}, r.Message
		return text
	}
	return text + r.text()
}

// End is what is left to print.
func (t *Transcript) End() string {
	if len(t.skipped) == 0 {
		return ""
	}
	r := Result{Name: t.skipped[0], Status: Skip, Message: t.why}
	if rest := t.skipped[1:]; len(rest) > 0 {
		r.Message += " Nor were " + strings.Join(rest, ", ") + "."
		if len(rest) == 1 {
			r.Message = t.why + " Nor was " + rest[0] + "."
		}
	}
	*t = Transcript{}
	return r.text()
}

// text is a line, broken where it is too long, and the remedy below it.
func (r Result) text() string {
	lead := fmt.Sprintf("%s %-4s  %-13s  ", symbols[r.Status], r.Status, r.Name)
	message := r.Message
	if r.Name == CheckTarget {
		message = r.Subject + ": " + message
	}
	text := hang(lead, message) + "\n"
	if r.Remedy != "" {
		text += hang(strings.Repeat(" ", len([]rune(lead)))+"→ ", r.Remedy) + "\n"
	}
	return text
}

// Text is the summary line.
func (s Summary) Text() string {
	counts := fmt.Sprintf("%d passed, %d warned, %d failed, %d skipped", s.Pass, s.Warn, s.Fail, s.Skip)
	switch {
	case s.Fail > 0:
		return counts + ". Begin with the first line that failed."
	case s.Warn > 0:
		return counts + ". It works; the warnings say what to look at."
	}
	return counts + ". All is well."
}

// Heading is the first line of a report.
func (m Machine) Heading() string {
	return fmt.Sprintf("sallyport-agent %s on %s (%s/%s)", m.Version, m.Hostname, m.OS, m.Arch)
}

// Text is the whole report for a person.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n\n", r.Machine.Heading(), r.StartedAt.Format(time.RFC3339))
	var t Transcript
	for _, c := range r.Checks {
		b.WriteString(t.Add(c))
	}
	b.WriteString(t.End())
	fmt.Fprintf(&b, "\n%s\n", hang("", r.Summary.Text()))
	return b.String()
}

// pad fills name up to n columns.
func pad(name string, n int) string { return fmt.Sprintf("%-*s", n, name) }

// hang breaks text into lines: the first begins with lead, the others as far to
// the right. A word that is longer than a line is left whole, so that it can be
// copied.
func hang(lead, text string) string {
	var b strings.Builder
	b.WriteString(lead)
	indent := len([]rune(lead))
	column := indent
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
