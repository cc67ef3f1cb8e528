package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what a run has measured. As JSON it can be drawn again.
type report struct {
	Measured   time.Time         `json:"measured"`
	Quick      bool              `json:"quick"` // shows that it works, not how fast
	Rounds     int               `json:"rounds"`
	Processors int               `json:"processors"`
	System     string            `json:"system"`
	Go         string            `json:"go"`
	OpenSSH    string            `json:"openssh"`
	Ways       []string          `json:"ways"`
	Absent     map[string]string `json:"absent,omitempty"` // why a way was not measured
	Rows       []*result         `json:"rows"`
}

// result is a row of the report. What follows the costs is made of what stands
// before them, and of the row's goal, for whoever reads the JSON.
type result struct {
	ID     string               `json:"id"`
	Name   string               `json:"name"`
	Unit   string               `json:"unit"`
	Values map[string][]float64 `json:"values"`          // by way, of each round
	Costs  map[string][]cost    `json:"costs,omitempty"` // by way, medians

	Medians  map[string]float64 `json:"medians"`
	Ratio    spread             `json:"ratioToSSH,omitzero"` // in the row's unit
	Goal     string             `json:"goal,omitempty"`
	Standing standing           `json:"standing,omitempty"`

	row   *row
	costs map[string][][]cost // by way, of each round
}

// spread is a median and how far the rounds lie apart.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// newReport is an empty report on rows, each followed by its second.
func newReport(rows []*row, ways []*way, isQuick bool) *report {
	r := &report{
		Measured: time.Now().UTC().Truncate(time.Second), Quick: isQuick, Processors: runtime.NumCPU(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), OpenSSH: sshVersion(),
		Absent: make(map[string]string),
	}
	for _, w := range ways {
		r.Ways = append(r.Ways, w.name)
		if w.absent != "" {
			r.Absent[w.name] = w.absent
		}
	}
	for _, row := range withSeconds(rows) {
		r.Rows = append(r.Rows, &result{
			ID: row.id, Name: row.name, Unit: row.unit, row: row,
			Values: make(map[string][]float64), costs: make(map[string][][]cost),
		})
	}
	return r
}

// withSeconds is every row that has a line of its own.
func withSeconds(rows []*row) []*row {
	var all []*row
	for _, row := range rows {
		for ; row != nil; row = row.second {
			all = append(all, row)
		}
	}
	return all
}

func sshVersion() string {
	out, err := exec.Command("ssh", "-V").CombinedOutput()
	if err != nil {
		return ""
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
	return version
}

// add takes what one measurement of a row by a way has yielded.
func (r *report) add(row *row, way string, got sample, used []cost) {
	at := slices.IndexFunc(r.Rows, func(res *result) bool { return res.ID == row.id })
	for i, v := range got.values {
		r.Rows[at+i].Values[way] = append(r.Rows[at+i].Values[way], v)
	}
	if row.per != "" && len(got.values) > 0 {
		r.Rows[at].costs[way] = append(r.Rows[at].costs[way], used)
	}
}

// finish works out what is made of the values.
func (r *report) finish() {
	for _, res := range r.Rows {
		res.Medians = make(map[string]float64)
		for way, values := range res.Values {
			res.Medians[way] = median(values)
		}
		for way, rounds := range res.costs {
			if res.Costs == nil {
				res.Costs = make(map[string][]cost)
			}
			res.Costs[way] = medianCosts(rounds)
		}
		res.Ratio = spreadOf(ratios(res.Values[sallyport], res.Values[sshReverse]))
		res.Goal = res.row.goal.text(res.row)
		if ours := res.Medians[sallyport]; ours > 0 {
			res.Standing = res.row.goal.judge(res.row.more, ours, res.Ratio.Median)
		}
	}
}

// write writes the report for a program, or to be drawn again.
func (r *report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// readReport reads what write has written; goals are those of today.
func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.New("no rows"))
	}
	known := make(map[string]*row)
	for _, row := range withSeconds(rows()) {
		known[row.id] = row
	}
	for _, res := range r.Rows {
		if res.row = known[res.ID]; res.row == nil {
			return nil, fmt.Errorf("%s: there is no row %q any more", path, res.ID)
		}
		res.Name, res.Unit = res.row.name, res.row.unit
	}
	r.finish()
	return r, nil
}

// medianCosts are those of each part over the rounds.
func medianCosts(rounds [][]cost) []cost {
	var medians []cost
	for _, c := range slices.Concat(rounds...) {
		if slices.ContainsFunc(medians, func(m cost) bool { return m.Part == c.Part }) {
			continue
		}
		var cpu, switches []float64
		for _, other := range slices.Concat(rounds...) {
			if other.Part == c.Part {
				cpu, switches = append(cpu, other.CPU), append(switches, other.Switches)
			}
		}
		medians = append(medians, cost{Part: c.Part, CPU: median(cpu), Switches: median(switches)})
	}
	return medians
}

// ratios are those of each round, so that a slow moment of the machine, which
// touches both, counts little.
func ratios(ours, theirs []float64) []float64 {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] > 0 {
			all = append(all, ours[i]/theirs[i])
		}
	}
	return all
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{Median: median(values), Low: slices.Min(values), High: slices.Max(values)}
}

// median is 0 where there are no values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
