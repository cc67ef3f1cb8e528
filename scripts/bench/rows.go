package main

import (
	"context"
	"fmt"
)

// row is one line of the table.
type row struct {
	id      string // short, for --rows
	name    string
	unit    string
	more    bool   // more is better
	far     bool   // measured over the long path
	once    bool   // measured once, after the rounds
	per     string // what its costs are for: a request or a MB; "": not told
	goal    goal
	second  *row // a second figure that the same measurement yields
	measure func(ctx context.Context, d *door, p plan) (sample, error)
}

// sample is what one measurement yields. No values: this way has none.
type sample struct {
	values []float64 // the row's, then its second's
	work   float64   // requests or MB, by which costs are divided
}

// goal is what Sallyport is to reach. Where both are set, either will do.
type goal struct {
	ratio float64 // to ssh -R, in the row's unit; 0: none
	bound float64 // in the row's unit; 0: none
}

// rows are in the order of the design's table, and have its goals.
func rows() []*row {
	return []*row{
		{id: "small-1", name: "small GET, 1 client, median", unit: "ms", per: "request",
			goal: goal{ratio: 0.9}, measure: oneClient},
		{id: "small-32", name: "small GET, 32 clients", unit: "req/s", more: true, per: "request",
			goal: goal{ratio: 0.8}, measure: manyClients},
		{id: "download", name: "1 GB download", unit: "MB/s", more: true, per: "MB",
			goal: goal{ratio: 1.3}, measure: download},
		{id: "upload", name: "1 GB upload", unit: "MB/s", more: true, per: "MB",
			goal: goal{ratio: 1}, measure: upload},
		{id: "mixed", name: "small GET p99 while 2 downloads run", unit: "ms", per: "MB",
			goal: goal{ratio: 0.7, bound: 10}, measure: underLoad,
			second: &row{id: "mixed-rate", name: "those downloads meanwhile, in sum", unit: "MB/s", more: true, goal: goal{bound: 250}}},
		{id: "far-download", name: "50 MB download at 80 ms", unit: "MB/s", more: true, far: true, per: "MB",
			goal: goal{bound: 100}, measure: farDownload},
		{id: "far-upload", name: "50 MB upload at 80 ms", unit: "MB/s", more: true, far: true, per: "MB",
			goal: goal{bound: 100}, measure: farUpload},
		{id: "cold", name: "cold plain request at 80 ms", unit: "ms", far: true, per: "request",
			goal: goal{bound: 84}, measure: cold(false), second: inRoundTrips("cold", 1)},
		{id: "cold-https", name: "cold HTTPS request at 80 ms", unit: "ms", far: true, per: "request",
			goal: goal{bound: trips(1) * ms(roundTrip)}, measure: cold(true), second: inRoundTrips("cold-https", 1)},
		{id: "test", name: "sign-in plus ping at 80 ms", unit: "ms", far: true, per: "request",
			goal: goal{bound: trips(2) * ms(roundTrip)}, measure: signInAndPing(false), second: inRoundTrips("test", 2)},
		{id: "test-https", name: "the same, HTTPS application", unit: "ms", far: true, per: "request",
			goal: goal{bound: trips(2) * ms(roundTrip)}, measure: signInAndPing(true), second: inRoundTrips("test-https", 2)},
		{id: "memory", name: "relay memory for one idle agent", unit: "KB", once: true,
			goal: goal{bound: 25}, measure: idleMemory},
	}
}

// trips is the goal of an exchange over the long path that is to cost so many
// round trips: the application and the machine need time of their own.
func trips(n float64) float64 { return n + 0.15 }

// inRoundTrips is the second figure of a row in milliseconds.
func inRoundTrips(id string, want float64) *row {
	return &row{id: id + "-rtt", name: fmt.Sprintf("   in round trips of %v", roundTrip), unit: "RTT", goal: goal{bound: trips(want)}}
}

// text is the goal as the table shows it.
func (g goal) text(r *row) string {
	sign := "≤"
	if r.more {
		sign = "≥"
	}
	ratio, bound := "", ""
	if g.ratio > 0 {
		ratio = fmt.Sprintf("%s %g × ssh", sign, g.ratio)
	}
	if g.bound > 0 {
		bound = fmt.Sprintf("%s %g %s", sign, g.bound, r.unit)
	}
	if ratio != "" && bound != "" {
		return bound + " or " + ratio
	}
	return bound + ratio
}

// standing is how far Sallyport has come towards a goal.
type standing string

const (
	noGoal  standing = ""
	met     standing = "met"
	missed  standing = "missed"
	unknown standing = "not comparable" // ssh -R was not measured
)

// judge compares a row's figures with its goal: ours, and how ours compares to
// ssh -R in the row's unit, 0 where that was not measured.
func (g goal) judge(more bool, ours, ratio float64) standing {
	reached := func(figure, wanted float64) bool {
		return wanted > 0 && figure > 0 && (more && figure >= wanted || !more && figure <= wanted)
	}
	switch {
	case g == goal{}:
		return noGoal
	case reached(ours, g.bound), reached(ratio, g.ratio):
		return met
	case ours == 0, g.bound == 0 && ratio == 0:
		return unknown
	}
	return missed
}
