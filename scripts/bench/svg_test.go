package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// wellFormed parses the plot, and counts its elements by class.
func wellFormed(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	classes := make(map[string]int)
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return classes
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range element.Attr {
			if a.Name.Local == "class" {
				classes[element.Name.Local+"."+a.Value]++
			}
			if n, err := strconv.ParseFloat(a.Value, 64); err == nil && (math.IsNaN(n) || math.IsInf(n, 0) || n < 0) {
				t.Errorf("%s: %s is %s", element.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

func TestPlotIsWellFormedAndComplete(t *testing.T) {
	r := sampleReport()
	r.Rows[0].Name = `<small> & "quick"`
	svg := r.draw()
	classes := wellFormed(t, svg)
	rows := 0
	for _, res := range r.Rows {
		if res.Unit != "RTT" {
			rows++
		}
	}
	bars := classes["rect.met"] + classes["rect.missed"] + classes["rect.plain"] - 2 // those of the legend
	if bars != rows || classes["circle.tls"] != rows+1 || classes["path.goal"] != rows+1 {
		t.Errorf("%d rows: %v", rows, classes)
	}
	for _, want := range []string{"prefers-color-scheme: dark", "&lt;small&gt; &amp;"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("%q is not in the plot", want)
		}
	}
}

func TestPlotOfNothingToCompare(t *testing.T) {
	r := newReport(rows(), []*way{{name: sallyport}}, true)
	r.add(rows()[0], sallyport, sample{values: []float64{1}}, nil)
	r.finish()
	if classes := wellFormed(t, r.draw()); classes["path.whisker"] != 3 { // the legend's
		t.Errorf("%v", classes)
	}
}

// Less time is better: such a ratio is turned, and its ends change places.
func TestFurtherRightIsBetter(t *testing.T) {
	ratio := spread{Median: 0.5, Low: 0.25, High: 2}
	if got := turned(ratio, false); got != (spread{Median: 2, Low: 0.5, High: 4}) {
		t.Errorf("%+v", got)
	}
	if got := turned(ratio, true); got != ratio {
		t.Errorf("%+v", got)
	}
	if got := turned(spread{}, false); got != (spread{}) {
		t.Errorf("%+v", got)
	}
}

func TestGoalsArePlacedByWhatSSHReached(t *testing.T) {
	for _, c := range []struct {
		name string
		row  row
		ssh  float64
		want float64
	}{
		{"a ratio", row{more: true, goal: goal{ratio: 1.3}}, 0, 1.3},
		{"a ratio where less is better", row{goal: goal{ratio: 0.5}}, 0, 2},
		{"a bound", row{more: true, goal: goal{bound: 100}}, 25, 4},
		{"a bound where less is better", row{goal: goal{bound: 84}}, 168, 2},
		{"the easier of two", row{goal: goal{ratio: 0.5, bound: 10}}, 15, 1.5},
		{"a bound beside nothing", row{goal: goal{bound: 25}}, 0, 0},
		{"none", row{}, 10, 0},
	} {
		res := &result{row: &c.row, Medians: map[string]float64{sshReverse: c.ssh}}
		if got := res.goalFactor(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTheAxisEndsWhereTheBarsDo(t *testing.T) {
	for factor, want := range map[float64]float64{0.01: plotLeft, leastFactor: plotLeft, mostFactor: plotRight, 1000: plotRight} {
		if got := across(factor); got != want {
			t.Errorf("%v: %v, want %v", factor, got, want)
		}
	}
	if across(2)-across(1) != across(4)-across(2) {
		t.Error("the axis is not logarithmic")
	}
}
