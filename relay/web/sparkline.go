package web

import (
	"fmt"
	"slices"
	"strings"
)

// sparkline is the shape of the last few latencies, in a box of 96 by 26.
type sparkline struct {
	Points     string
	EndX, EndY string
	Count      int
	Last       float64
}

// sparklineOf is nil where there is nothing to draw. ms is oldest first.
func sparklineOf(ms []float64) *sparkline {
	if len(ms) == 0 {
		return nil
	}
	const width, height, margin = 96.0, 26.0, 4.0
	// From zero, so that a steady latency looks steady.
	top := max(slices.Max(ms), 1)
	var points []string
	s := &sparkline{Count: len(ms), Last: ms[len(ms)-1]}
	for i, v := range ms {
		x := width - margin
		if len(ms) > 1 {
			x = margin + (width-2*margin)*float64(i)/float64(len(ms)-1)
		}
		s.EndX, s.EndY = fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", height-margin-(height-2*margin)*max(v, 0)/top)
		points = append(points, s.EndX+","+s.EndY)
	}
	s.Points = strings.Join(points, " ")
	return s
}
