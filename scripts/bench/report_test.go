package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{3, 100, 1}, 3},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("the values were put in order: %v", c.values)
		}
	}
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(99-i)) // 99 … 0
	}
	for q, want := range map[float64]time.Duration{0: 0, 0.5: 50, 0.99: 99, 1: 99} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := quantile([]time.Duration{5}, 0.99); got != 5 {
		t.Errorf("of one value: %v", got)
	}
}

// A machine that is slow for one round is slow for both.
func TestRatiosAreThoseOfEachRound(t *testing.T) {
	got := spreadOf(ratios([]float64{1, 10, 4}, []float64{2, 20, 4, 99}))
	if diff := cmp.Diff(spread{Median: 0.5, Low: 0.5, High: 1}, got); diff != "" {
		t.Error(diff)
	}
	if got := spreadOf(ratios([]float64{1}, []float64{0})); got != (spread{}) {
		t.Errorf("beside nothing: %+v", got)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		name        string
		goal        goal
		more        bool
		ours, ratio float64
		want        standing
	}{
		{"no goal", goal{}, false, 1, 1, noGoal},
		{"less is better, reached", goal{ratio: 0.9}, false, 9, 0.9, met},
		{"less is better, missed", goal{ratio: 0.9}, false, 9, 0.91, missed},
		{"more is better, reached", goal{ratio: 1.3}, true, 9, 1.3, met},
		{"more is better, missed", goal{ratio: 1.3}, true, 9, 1.29, missed},
		{"bound reached", goal{bound: 84}, false, 84, 2, met},
		{"bound missed", goal{bound: 84}, false, 84.1, 0.1, missed},
		{"more than a bound", goal{bound: 100}, true, 101, 0, met},
		{"less than a bound", goal{bound: 100}, true, 99, 5, missed},
		{"either: by the bound", goal{ratio: 0.7, bound: 10}, false, 9, 3, met},
		{"either: by the ratio", goal{ratio: 0.7, bound: 10}, false, 12, 0.7, met},
		{"either: neither", goal{ratio: 0.7, bound: 10}, false, 12, 0.8, missed},
		{"nothing to compare with", goal{ratio: 0.9}, false, 9, 0, unknown},
		{"a bound needs no comparison", goal{bound: 10}, false, 11, 0, missed},
		{"ours was not measured", goal{bound: 10}, false, 0, 0, unknown},
	} {
		if got := c.goal.judge(c.more, c.ours, c.ratio); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestGoalsAreSaidInTheRowsUnit(t *testing.T) {
	for want, r := range map[string]*row{
		"":                       {unit: "ms"},
		"≤ 0.9 × ssh":            {unit: "ms", goal: goal{ratio: 0.9}},
		"≥ 250 MB/s":             {unit: "MB/s", more: true, goal: goal{bound: 250}},
		"≤ 10 ms or ≤ 0.7 × ssh": {unit: "ms", goal: goal{ratio: 0.7, bound: 10}},
	} {
		if got := r.goal.text(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRowsHaveNamesOfTheirOwnAndGoals(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range withSeconds(rows()) {
		if r.id == "" || r.name == "" || r.unit == "" || seen[r.id] {
			t.Errorf("row %q, %q in %q: incomplete, or there twice", r.id, r.name, r.unit)
		}
		seen[r.id] = true
		if r.goal == (goal{}) {
			t.Errorf("row %q has no goal", r.id)
		}
	}
	for _, r := range rows() {
		if r.measure == nil {
			t.Errorf("row %q is not measured", r.id)
		}
	}
}

func TestChoice(t *testing.T) {
	ids := func(c choice) (ids []string) {
		for _, r := range c.rows {
			ids = append(ids, r.id)
		}
		return ids
	}
	all, err := choose("", "")
	if err != nil || len(all.rows) != len(rows()) || len(all.ways) != 4 || !all.needs(true) || !all.needs(false) {
		t.Errorf("everything: %v by %v, %v", ids(all), all.ways, err)
	}
	some, err := choose("^small|upload$", "ssh, sallyport,ssh")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"small-1", "small-32", "upload", "far-upload", "mixed"}, ids(some), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{sshReverse, sallyport}, some.ways); diff != "" {
		t.Error(diff)
	}
	near, err := choose("^memory$", "")
	if err != nil || near.needs(true) {
		t.Errorf("the long path is not needed for %v: %v", ids(near), err)
	}
	for _, bad := range [][2]string{{"(", ""}, {"nothing like it", ""}, {"", "frp"}} {
		if _, err := choose(bad[0], bad[1]); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// sampleReport is what a run of two rounds might bring.
func sampleReport() *report {
	var ways []*way
	for _, name := range []string{direct, sshReverse, sallyport, sallyportTLS} {
		ways = append(ways, &way{name: name})
	}
	r := newReport(rows(), ways, false)
	r.Rounds = 2
	for i, row := range rows() {
		for j, w := range ways {
			for round := range 2 {
				v := float64(1 + i + j + round)
				got := sample{values: []float64{v}}
				if row.second != nil {
					got.values = append(got.values, 2*v)
				}
				r.add(row, w.name, got, []cost{{Part: "load", CPU: v, Switches: 1}, {Part: "relay", CPU: 10 * v, Switches: 2}})
			}
		}
	}
	r.finish()
	return r
}

func TestReportIsReadAsItWasWritten(t *testing.T) {
	r := sampleReport()
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := r.print(&first); err != nil {
		t.Fatal(err)
	}
	if err := again.print(&second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(r.draw()), string(again.draw())); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := sampleReport().print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		// ours 3 and 4, ssh 2 and 3: the ratios are 1.5 and 1.33
		"small GET, 1 client, median                  1.50       2.50       3.50       4.50 ms               1.42 ×    ≤ 0.9 × ssh              missed\n",
		"2.00 – 3.00",
		"small-1       sallyport per request   load 3.50 (1.00)  relay 35.0 (2.00)\n",
		"rounds: 2",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "–", 0.1234: "0.12", 9.994: "9.99", 12.34: "12.3", 123.4: "123", 54703.6: "54704"} {
		if got := figure(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestCostsAreMediansOfEachPart(t *testing.T) {
	got := medianCosts([][]cost{
		{{"load", 1, 1}, {"relay", 10, 4}},
		{{"load", 3, 2}},
		{{"load", 2, 9}, {"relay", 20, 6}},
	})
	if diff := cmp.Diff([]cost{{"load", 2, 2}, {"relay", 15, 5}}, got); diff != "" {
		t.Error(diff)
	}
}
