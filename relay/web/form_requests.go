package web

import (
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// requestFields are those of "Requests, limits and health": what only some
// connections need. All of them are numbers.
func requestFields() []formField {
	number := func(path, label, placeholder, help string) formField {
		return formField{path: "requests." + path, label: label, placeholder: placeholder, help: help, inputClass: "short", inputMode: "decimal"}
	}
	return []formField{
		number("timeouts.connectMs", "Time to connect, ms", "10000", "To reach the application, TLS included. Empty: 10 s to connect and 10 s for TLS."),
		number("timeouts.firstByteMs", "Time to the first byte, ms", "no limit", "From the end of the request to the beginning of the answer."),
		number("timeouts.idleMs", "Idle time, ms", "no limit", "For how long no byte of a body may come, in either direction."),
		number("timeouts.totalMs", "Time for all of it, ms", "no limit", "To the last byte of the answer. Leave it empty for event streams."),
		number("retry.attempts", "Tries", "1", "With 2 or more, what is safe to send again is, after 429, 502, 503, 504 or a failed connect. A POST only if it was not sent."),
		number("retry.backoffMs", "Wait before the second try, ms", "500", "At most; it doubles with each further try."),
		number("retry.maxBackoffMs", "Longest wait between tries, ms", "30000", "Where the application asks for more by Retry-After, its answer is passed on."),
		number("limits.concurrent", "Requests at once", "no limit", "More than that wait for their turn."),
		number("limits.perSecond", "Requests in a second", "no limit", "0.5 is one in two seconds."),
		number("limits.burst", "Burst", "1", "How many may begin at once after a pause."),
		number("limits.queue", "Requests that may wait", "100", "One more is answered 429. Callers take turns, however many requests each has waiting."),
		number("limits.queueMs", "Longest wait for a turn, ms", "30000", "Then the request is answered 429."),
	}
}

// RequestsOpen reports whether the section is shown open: something in it is
// set, or mistaken.
func (v formView) RequestsOpen() bool {
	for path, f := range v.fields {
		if (strings.HasPrefix(path, "requests.") || strings.HasPrefix(path, "health.")) && (f.Value != "" || f.Error != "") {
			return true
		}
	}
	return false
}

// RequestFields are the fields of one group, such as timeouts, for the template.
func (v formView) RequestFields(group string) []fieldView {
	var fields []fieldView
	for _, f := range requestFields() {
		if strings.HasPrefix(f.path, "requests."+group+".") {
			fields = append(fields, v.fields[f.path])
		}
	}
	return fields
}

// fillRequests shows what is set.
func (v *formValues) fillRequests(r connection.Requests) {
	set := func(path string, n float64) {
		if n != 0 {
			v.fields["requests."+path] = strconv.FormatFloat(n, 'f', -1, 64)
		}
	}
	set("timeouts.connectMs", float64(r.Timeouts.ConnectMs))
	set("timeouts.firstByteMs", float64(r.Timeouts.FirstByteMs))
	set("timeouts.idleMs", float64(r.Timeouts.IdleMs))
	set("timeouts.totalMs", float64(r.Timeouts.TotalMs))
	set("retry.attempts", float64(r.Retry.Attempts))
	set("retry.backoffMs", float64(r.Retry.BackoffMs))
	set("retry.maxBackoffMs", float64(r.Retry.MaxBackoffMs))
	set("limits.concurrent", float64(r.Limits.Concurrent))
	set("limits.perSecond", r.Limits.PerSecond)
	set("limits.burst", float64(r.Limits.Burst))
	set("limits.queue", float64(r.Limits.Queue))
	set("limits.queueMs", float64(r.Limits.QueueMs))
}

// requests reads the numbers; mistakes are those that are none.
func (v formValues) requests() (r connection.Requests, mistakes []connection.FieldError) {
	text := func(path string) string { return strings.TrimSpace(v.fields["requests."+path]) }
	whole := func(path string) int64 {
		if text(path) == "" {
			return 0
		}
		n, err := strconv.ParseInt(text(path), 10, 64)
		if err != nil || n == 0 {
			mistakes = append(mistakes, connection.FieldError{Path: "requests." + path,
				Message: "Enter a whole number over 0, digits only, or leave it empty."})
		}
		return n
	}
	r.Timeouts = connection.Timeouts{ConnectMs: whole("timeouts.connectMs"), FirstByteMs: whole("timeouts.firstByteMs"),
		IdleMs: whole("timeouts.idleMs"), TotalMs: whole("timeouts.totalMs")}
	r.Retry = connection.Retry{Attempts: int(whole("retry.attempts")), BackoffMs: whole("retry.backoffMs"), MaxBackoffMs: whole("retry.maxBackoffMs")}
	r.Limits = connection.Limits{Concurrent: int(whole("limits.concurrent")), Burst: int(whole("limits.burst")),
		Queue: int(whole("limits.queue")), QueueMs: whole("limits.queueMs")}
	if rate := text("limits.perSecond"); rate != "" {
		n, err := strconv.ParseFloat(rate, 64)
		if err != nil || n == 0 {
			mistakes = append(mistakes, connection.FieldError{Path: "requests.limits.perSecond",
				Message: "Enter a number over 0, such as 5 or 0.5, or leave it empty."})
		}
		r.Limits.PerSecond = n
	}
	return r, mistakes
}
