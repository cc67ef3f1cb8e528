package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
)

// Measures of the plot, in CSS pixels.
const (
	plotWidth   = 940
	plotLeft    = 286 // where the axis begins; names stand before it
	plotRight   = 646 // where it ends; figures stand behind it
	plotTop     = 104 // of the first row
	rowHeight   = 36
	barHeight   = 14
	figuresLeft = plotRight + 20
)

// The axis is logarithmic, in factors of two around ssh -R. What lies beyond it
// is drawn to its end; the figures tell.
const (
	leastFactor = 1.0 / 4
	mostFactor  = 8.0
)

// plotStyle follows the reader's light or dark theme. The background is drawn
// too, so that the plot stays readable where the page around it does not follow.
const plotStyle = `
  svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
  .ground { fill: #ffffff } .edge { fill: none; stroke: #d5dae1 }
  text { fill: #1d2530 } .soft { fill: #57606d } .small { font-size: 12px } .strong { font-weight: 600 } .title { font-size: 17px; font-weight: 600 }
  .grid { stroke: #e3e7ec } .even { stroke: #57606d; stroke-width: 1.5 }
  .met { fill: #2a8f7f } .missed { fill: #d08a1d } .plain { fill: #7d8fa8 }
  .verdict-met { fill: #1d7366 } .verdict-missed { fill: #935b00 }
  .whisker { stroke: #1d2530; stroke-width: 1.5 } .goal { fill: #1d2530; stroke: #ffffff } .tls { fill: #ffffff; stroke: #1d2530; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #12171e } .edge { stroke: #323b47 }
    text { fill: #e6eaf0 } .soft { fill: #9aa6b5 }
    .grid { stroke: #28313c } .even { stroke: #9aa6b5 }
    .met { fill: #3fb5a2 } .missed { fill: #d99a3c } .plain { fill: #6c7f99 }
    .verdict-met { fill: #62d2bf } .verdict-missed { fill: #f0b75e }
    .whisker { stroke: #e6eaf0 } .goal { fill: #e6eaf0; stroke: #12171e } .tls { fill: #12171e; stroke: #e6eaf0 }
  }
`

// draw makes an SVG of how Sallyport compares to ssh -R: a bar for each row from
// 1, where both are alike, to the right where Sallyport is better.
func (r *report) draw() []byte {
	var rows []*result
	for _, res := range r.Rows {
		if res.Ratio.Median > 0 && res.Unit != "RTT" { // round trips are the same times once more
			rows = append(rows, res)
		}
	}
	bottom := float64(plotTop + rowHeight*len(rows))
	height := bottom + 66
	c := &canvas{}
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %d %[2]s" role="img" aria-labelledby="title about">`+"\n",
		plotWidth, number(height), plotWidth)
	c.printf(`<title id="title">Sallyport beside ssh -R</title>` + "\n")
	c.printf(`<desc id="about">`)
	for _, res := range rows {
		c.escaped(fmt.Sprintf("%s: %s times as good as ssh -R. ", res.Name, figure(res.asGood().Median)))
	}
	c.printf("</desc>\n<style>%s</style>\n", plotStyle)
	c.printf(`<rect class="ground" width="%d" height="%s" rx="8"/>`+"\n", plotWidth, number(height))
	c.printf(`<rect class="edge" x="0.5" y="0.5" width="%d" height="%s" rx="7.5"/>`+"\n", plotWidth-1, number(height-1))
	c.text(24, 34, "title", "start", "Sallyport beside ssh -R")
	c.text(24, 56, "soft", "start", "times as good as ssh -R in the same run, requests through the public door; further right is better")
	c.axis(bottom)
	for i, res := range rows {
		c.row(res, float64(plotTop+rowHeight*i)+rowHeight/2)
	}
	c.legend(bottom+24, r)
	about := r.machine() + "; all parts on this machine"
	if r.Quick {
		about += "; a quick run, whose figures mean little"
	}
	c.text(24, bottom+48, "soft small", "start", about)
	c.printf("</svg>\n")
	return c.b.Bytes()
}

// asGood is the ratio to ssh -R turned so that more is better.
func (res *result) asGood() spread { return turned(res.Ratio, res.row.more) }

func turned(ratio spread, more bool) spread {
	if more || ratio.Median == 0 {
		return ratio
	}
	return spread{Median: 1 / ratio.Median, Low: 1 / ratio.High, High: 1 / ratio.Low}
}

// goalFactor is where the goal lies on the axis; 0: nowhere. A goal in the row's
// unit is placed by what ssh -R reached.
func (res *result) goalFactor() float64 {
	place := func(ratio float64) float64 {
		if ratio > 0 && !res.row.more {
			return 1 / ratio
		}
		return ratio
	}
	g, ssh := res.row.goal, res.Medians[sshReverse]
	factor := place(g.ratio)
	if g.bound > 0 && ssh > 0 {
		if f := place(g.bound / ssh); factor == 0 || f < factor { // either will do
			factor = f
		}
	}
	return factor
}

// canvas collects the elements.
type canvas struct{ b bytes.Buffer }

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *canvas) escaped(s string) { _ = xml.EscapeText(&c.b, []byte(s)) } // a buffer takes all

func (c *canvas) text(x, y float64, class, anchor, s string) {
	c.printf(`<text x="%s" y="%s" class="%s" text-anchor="%s">`, number(x), number(y), class, anchor)
	c.escaped(s)
	c.printf("</text>\n")
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	c.printf(`<path class="%s" d="M%s %sL%s %s"/>`+"\n", class, number(x1), number(y1), number(x2), number(y2))
}

// axis draws a line for each power of two.
func (c *canvas) axis(bottom float64) {
	for factor := leastFactor; factor <= mostFactor; factor *= 2 {
		x, class, name := across(factor), "grid", fmt.Sprintf("%g", factor)
		switch {
		case factor == 1:
			class, name = "even", "ssh -R"
		case factor < 1:
			name = fmt.Sprintf("1/%g", 1/factor)
		}
		c.line(class, x, plotTop-6, x, bottom)
		c.text(x, plotTop-14, "soft small", "middle", name)
	}
}

// row draws one row around the height y.
func (c *canvas) row(res *result, y float64) {
	c.text(plotLeft-16, y+4.5, "", "end", res.Name)
	ratio := res.asGood()
	from, to := across(1), across(ratio.Median)
	class := "plain"
	if res.Standing == met || res.Standing == missed {
		class = string(res.Standing)
	}
	c.printf(`<rect class="%s" x="%s" y="%s" width="%s" height="%d" rx="2"/>`+"\n",
		class, number(min(from, to)), number(y-barHeight/2), number(max(1, math.Abs(to-from))), barHeight)
	if low, high := across(ratio.Low), across(ratio.High); high-low >= 1 {
		c.line("whisker", low, y, high, y)
		c.line("whisker", low, y-4, low, y+4)
		c.line("whisker", high, y-4, high, y+4)
	}
	if tls := spreadOf(ratios(res.Values[sallyportTLS], res.Values[sshReverse])); tls.Median > 0 {
		c.circle(across(turned(tls, res.row.more).Median), y)
	}
	if goal := res.goalFactor(); goal > 0 {
		c.diamond(across(goal), y)
	}
	c.text(figuresLeft, y-2, "strong", "start", figure(ratio.Median)+" ×")
	c.text(figuresLeft+64, y-2, "", "start",
		fmt.Sprintf("%s, ssh %s %s", figure(res.Medians[sallyport]), figure(res.Medians[sshReverse]), res.Unit))
	if res.Goal != "" {
		verdict := map[standing]string{met: "✓ ", missed: "✗ "}[res.Standing]
		c.text(figuresLeft, y+13, "small strong verdict-"+class, "start", verdict+"goal "+res.Goal)
	}
}

// circle marks what comes out with TLS, diamond marks a goal.
func (c *canvas) circle(x, y float64) {
	c.printf(`<circle class="tls" cx="%s" cy="%s" r="4"/>`+"\n", number(x), number(y))
}

func (c *canvas) diamond(x, y float64) {
	c.printf(`<path class="goal" d="M%s %sl5 7l-5 7l-5 -7z"/>`+"\n", number(x), number(y-7))
}

func (c *canvas) legend(y float64, r *report) {
	c.printf(`<rect class="met" x="24" y="%s" width="22" height="10" rx="2"/>`+"\n", number(y-10))
	c.text(52, y, "soft small", "start", "median, goal met")
	c.printf(`<rect class="missed" x="164" y="%s" width="22" height="10" rx="2"/>`+"\n", number(y-10))
	c.text(192, y, "soft small", "start", "goal missed")
	c.line("whisker", 284, y-5, 306, y-5)
	c.line("whisker", 284, y-9, 284, y-1)
	c.line("whisker", 306, y-9, 306, y-1)
	c.text(314, y, "soft small", "start", fmt.Sprintf("lowest and highest of %d rounds", r.Rounds))
	c.diamond(524, y-5)
	c.text(536, y, "soft small", "start", "goal")
	if slices.Contains(r.Ways, sallyportTLS) {
		c.circle(588, y-5)
		c.text(600, y, "soft small", "start", "with TLS on door and tunnel")
	}
}

// across is the place of a factor on the axis.
func across(factor float64) float64 {
	factor = min(max(factor, leastFactor), mostFactor)
	share := math.Log2(factor/leastFactor) / math.Log2(mostFactor/leastFactor)
	return plotLeft + share*(plotRight-plotLeft)
}

func number(v float64) string { return fmt.Sprintf("%.4g", v) }
