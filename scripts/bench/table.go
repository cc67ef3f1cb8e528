package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// print writes the report for a person.
func (r *report) print(to io.Writer) error {
	var b strings.Builder
	b.WriteByte('\n')
	if r.Rounds > 1 {
		r.spreads(&b)
		b.WriteByte('\n')
	}
	r.costs(&b)
	b.WriteByte('\n')
	b.WriteString(r.summary())
	_, err := io.WriteString(to, b.String())
	return err
}

// summary is the table of medians, and where it comes from.
func (r *report) summary() string {
	var b strings.Builder
	r.medians(&b)
	b.WriteByte('\n')
	for _, way := range r.Ways {
		if why := r.Absent[way]; why != "" {
			fmt.Fprintf(&b, "%s was not measured: %s\n", way, why)
		}
	}
	fmt.Fprintf(&b, "%s; load, target, relay and agent all on this machine\n", r.machine())
	if r.Quick {
		b.WriteString("A quick run shows that it works: its figures mean little.\n")
	}
	return b.String()
}

// machine says where and when the figures were measured.
func (r *report) machine() string {
	s := fmt.Sprintf("%d processors, %s, %s", r.Processors, r.System, r.Go)
	if r.OpenSSH != "" {
		s += ", " + r.OpenSSH
	}
	return s + fmt.Sprintf("; %s, rounds: %d", r.Measured.Format("2006-01-02"), r.Rounds)
}

// Widths of columns, in characters.
const (
	nameWidth  = 38
	valueWidth = 11
	goalWidth  = 25
)

func (r *report) medians(b *strings.Builder) {
	fmt.Fprintf(b, "%-*s", nameWidth, "medians over the rounds")
	for _, way := range r.Ways {
		right(b, way, valueWidth)
	}
	b.WriteString("         sallyport to ssh    goal\n")
	for _, res := range r.Rows {
		left(b, res.Name, nameWidth)
		for _, way := range r.Ways {
			right(b, figure(res.Medians[way]), valueWidth)
		}
		b.WriteString(" ")
		left(b, res.Unit, 6)
		ratio := "–"
		if res.Ratio.Median > 0 {
			ratio = figure(res.Ratio.Median) + " ×"
		}
		right(b, ratio, 17)
		line := "    "
		if res.Goal != "" {
			line += pad(res.Goal, goalWidth) + string(res.Standing)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (r *report) spreads(b *strings.Builder) {
	fmt.Fprintf(b, "%-*s", nameWidth, "lowest and highest of the rounds")
	for _, way := range r.Ways {
		right(b, way, valueWidth+6)
	}
	b.WriteByte('\n')
	for _, res := range r.Rows {
		left(b, res.Name, nameWidth)
		for _, way := range r.Ways {
			s := spreadOf(res.Values[way])
			text := "–"
			if s.Median > 0 {
				text = figure(s.Low) + " – " + figure(s.High)
			}
			right(b, text, valueWidth+6)
		}
		b.WriteString(" " + res.Unit + "\n")
	}
}

func (r *report) costs(b *strings.Builder) {
	b.WriteString("processor time in µs (and voluntary context switches) of each part\n")
	for _, res := range r.Rows {
		for _, way := range r.Ways {
			if len(res.Costs[way]) == 0 {
				continue
			}
			left(b, res.ID, 14)
			left(b, way, 10)
			left(b, "per "+res.row.per, 12)
			for _, c := range res.Costs[way] {
				fmt.Fprintf(b, "  %s %s (%s)", c.Part, figure(c.CPU), figure(c.Switches))
			}
			b.WriteByte('\n')
		}
	}
}

func left(b *strings.Builder, s string, width int) { b.WriteString(pad(s, width)) }

func right(b *strings.Builder, s string, width int) {
	b.WriteString(strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s))) + s)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s)))
}

// figure keeps three significant digits, as more would only show the noise. 0
// was not measured.
func figure(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
