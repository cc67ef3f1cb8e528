package web

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// functions are what templates may call.
func (h *handler) functions() template.FuncMap {
	return template.FuncMap{
		"asset":      h.assets.path,
		"when":       h.when,
		"clock":      h.clockTime,
		"iso":        func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"ms":         milliseconds,
		"count":      plural,
		"statusText": http.StatusText,
		"capital":    capital,
	}
}

// capital is a word as a status begins with it.
func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// when shows a time relative to now. The exact one is there for hovering, in
// UTC until times.js puts it into the reader's zone. t is a time.Time or a
// pointer to one.
func (h *handler) when(t any) (template.HTML, error) {
	return timeElement(t, "", func(at time.Time) string { return relative(at, h.Clock()) })
}

// clockTime shows a time of today as 09:12, and one of another day with its date.
func (h *handler) clockTime(t any) (template.HTML, error) {
	return timeElement(t, ` class="clock"`, func(at time.Time) string {
		now := h.Clock().UTC()
		if at = at.UTC(); at.Format(time.DateOnly) == now.Format(time.DateOnly) {
			return at.Format("15:04 UTC")
		}
		return at.Format("2 Jan 15:04 UTC")
	})
}

func timeElement(t any, class string, text func(time.Time) string) (template.HTML, error) {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t == nil {
			return "never", nil
		}
		at = *t
	default:
		return "", fmt.Errorf("show a time: %T is not a time", t)
	}
	if at.IsZero() {
		return "never", nil
	}
	utc := at.UTC()
	return template.HTML(`<time` + class + ` datetime="` + utc.Format(time.RFC3339) + `" title="` + utc.Format("2 January 2006, 15:04:05 UTC") + `">` +
		text(at) + `</time>`), nil
}

func relative(t, now time.Time) string {
	d, format := now.Sub(t), "%s ago"
	if d < 0 {
		d, format = -d, "in %s"
	}
	switch {
	case d < time.Minute && format == "%s ago":
		return "just now"
	case d < time.Minute:
		return "in a moment"
	case d < time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%d min", int(d.Minutes())))
	case d < 24*time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%d h", int(d.Hours())))
	default:
		return fmt.Sprintf(format, plural(int(d.Hours()/24), "day"))
	}
}

// milliseconds shows a duration with as many digits as anyone reads.
func milliseconds(ms float64) string {
	switch {
	case ms <= 0:
		return "0 ms"
	case ms < 1:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 1000:
		return strconv.FormatFloat(math.Round(ms), 'f', 0, 64) + " ms"
	default:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
