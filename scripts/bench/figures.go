package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// figures are what was measured, round by round.
type figures struct {
	rows   []*row
	ways   []*way
	values map[string]map[string][]float64 // by row, by way
	costs  map[string]map[string][][]cost  // by row, by way: of each round
}

func newFigures(rows []*row, ways []*way) *figures {
	return &figures{
		rows: rows, ways: ways,
		values: make(map[string]map[string][]float64), costs: make(map[string]map[string][][]cost),
	}
}

// addCosts takes what the parts used in one measurement of a row.
func (f *figures) addCosts(r *row, w *way, costs []cost) {
	if f.costs[r.id] == nil {
		f.costs[r.id] = make(map[string][][]cost)
	}
	f.costs[r.id][w.name] = append(f.costs[r.id][w.name], costs)
}

// medianCosts are those of each part over the rounds.
func (f *figures) medianCosts(r *row, w *way) []cost {
	byPart := make(map[string][]cost)
	var names []string
	for _, round := range f.costs[r.id][w.name] {
		for _, c := range round {
			if byPart[c.Part] == nil {
				names = append(names, c.Part)
			}
			byPart[c.Part] = append(byPart[c.Part], c)
		}
	}
	var medians []cost
	for _, name := range names {
		var cpu, switches []float64
		for _, c := range byPart[name] {
			cpu = append(cpu, c.CPU)
			switches = append(switches, c.Switches)
		}
		medians = append(medians, cost{Part: name, CPU: median(cpu), Switches: median(switches)})
	}
	return medians
}

// costTable prints what the parts used.
func (f *figures) costTable(b *strings.Builder) {
	b.WriteString("\nprocessor time in µs, and (voluntary context switches), of each part\n")
	for _, r := range f.rows {
		for _, w := range f.ways {
			medians := f.medianCosts(r, w)
			if len(medians) == 0 {
				continue
			}
			fmt.Fprintf(b, "%-13s %-10s per %-8s", r.id, w.name, r.per)
			for _, c := range medians {
				fmt.Fprintf(b, "  %s %s (%s)", c.Part, short(c.CPU), short(c.Switches))
			}
			b.WriteByte('\n')
		}
	}
}

// add takes the values that one measurement of a row yielded.
func (f *figures) add(r *row, w *way, values []float64) {
	for _, v := range values {
		if f.values[r.id] == nil {
			f.values[r.id] = make(map[string][]float64)
		}
		f.values[r.id][w.name] = append(f.values[r.id][w.name], v)
		r = r.second
	}
}

// line is a row of the finished table.
type line struct {
	ID      string             `json:"id"`
	Name    string             `json:"name"`
	Unit    string             `json:"unit"`
	Medians map[string]float64 `json:"medians"`
	// Ratio is how Sallyport compares to ssh -R: above 1 it is better, whichever
	// direction the unit counts in. 0: one of them was not measured.
	Ratio float64              `json:"betterThanSSH,omitempty"`
	All   map[string][]float64 `json:"all"`
	Costs map[string][]cost    `json:"costs,omitempty"` // medians, by way
}

func (f *figures) lines() []line {
	var lines []line
	for _, r := range f.rows {
		for ; r != nil; r = r.second {
			l := line{ID: r.id, Name: r.name, Unit: r.unit, Medians: make(map[string]float64), All: f.values[r.id]}
			for way, values := range f.values[r.id] {
				l.Medians[way] = median(values)
			}
			if ours, ssh := l.Medians[sallyport], l.Medians[sshReverse]; ours > 0 && ssh > 0 {
				l.Ratio = ssh / ours
				if r.more {
					l.Ratio = ours / ssh
				}
			}
			l.Costs = make(map[string][]cost)
			for _, w := range f.ways {
				if c := f.medianCosts(r, w); len(c) > 0 {
					l.Costs[w.name] = c
				}
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// table prints the medians for a person.
func (f *figures) table(to io.Writer) error {
	var b strings.Builder
	column := func(s string, width int) {
		b.WriteString(strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s))) + s)
	}
	fmt.Fprintf(&b, "\n%-38s", "medians over the rounds")
	for _, way := range f.ways {
		column(way.name, 12)
	}
	column("beside ssh -R", 16)
	b.WriteByte('\n')
	for _, l := range f.lines() {
		fmt.Fprintf(&b, "%-38s", l.Name)
		for _, way := range f.ways {
			if v, ok := l.Medians[way.name]; ok {
				column(short(v), 12)
			} else {
				column("–", 12)
			}
		}
		if l.Ratio > 0 {
			column(fmt.Sprintf("%.2f × as good", l.Ratio), 16)
		} else {
			column("–", 16)
		}
		b.WriteString("  " + l.Unit + "\n")
	}
	f.costTable(&b)
	b.WriteByte('\n')
	for _, way := range f.ways {
		if way.absent != "" {
			fmt.Fprintf(&b, "%s was not measured: %s\n", way.name, way.absent)
		}
	}
	fmt.Fprintf(&b, "%d processors, %s/%s, %s; load, target, relay and agent all on this machine\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	_, err := io.WriteString(to, b.String())
	return err
}

// writeJSON writes all figures for a program.
func (f *figures) writeJSON(path string) error {
	b, err := json.MarshalIndent(map[string]any{
		"processors": runtime.NumCPU(), "system": runtime.GOOS + "/" + runtime.GOARCH, "go": runtime.Version(),
		"rows": f.lines(),
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// short keeps three significant digits, as more would only show the noise.
func short(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
