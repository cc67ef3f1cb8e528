package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/road"
)

// prefer heeds the wait that the caller prefers (RFC 7240, section 4.3): how
// long the request may be held where its agent is away for a moment. What is
// left of it goes with the request; a sign-in before it is not sent either
// until the agent is there.
func (p *passage) prefer() *proto.Error {
	values := p.r.Header["Prefer"]
	if len(values) == 0 {
		return nil
	}
	wait, ok := preferredWait(values)
	patient, can := p.rt.(road.Patient)
	if !ok || !can || patient.MostWait() == 0 {
		return nil
	}
	wait = min(wait, patient.MostWait())
	if !p.deadline.IsZero() {
		wait = max(min(wait, time.Until(p.deadline)), 0)
	}
	p.applied = "wait=" + strconv.FormatInt(int64(wait/time.Second), 10)
	held, err := patient.Await(p.ctx, wait)
	p.awaited += held
	if err != nil {
		return p.failure(err)
	}
	p.wait = max(wait-held, 0)
	return nil
}

// sessionRoad is the road on which a session is got. It is waited for by the
// caller's goroutine alone, for as long as the caller prefers.
func (p *passage) sessionRoad() http.RoundTripper {
	if patient, ok := p.rt.(road.Patient); ok {
		return watched{patient, p}
	}
	return p.rt
}

type watched struct {
	road.Patient
	p *passage
}

func (w watched) Await(ctx context.Context, wait time.Duration) (time.Duration, error) {
	if w.p.applied != "" {
		wait = w.p.wait
	}
	held, err := w.Patient.Await(ctx, wait)
	w.p.awaited += held
	return held, err
}

// tellApplied says which preference was heeded, beside those that the
// application says it has heeded.
func (p *passage) tellApplied(h http.Header) {
	if p.applied != "" {
		h.Add("Preference-Applied", p.applied)
	}
}

// preferredWait is the wait among a request's preferences. Of several the first
// counts; one that is not a number of seconds is none.
func preferredWait(values []string) (time.Duration, bool) {
	for rest := strings.Join(values, ","); rest != ""; {
		var preference string
		preference, rest = cutUnquoted(rest, ',')
		preference, _ = cutUnquoted(preference, ';') // its parameters mean nothing to wait
		name, value, _ := strings.Cut(preference, "=")
		if strings.EqualFold(strings.TrimSpace(name), "wait") {
			return deltaSeconds(unquoted(strings.TrimSpace(value)))
		}
	}
	return 0, false
}

// cutUnquoted cuts s at the first sep that is not within a quoted string.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// unquoted is a word's value: of a token, itself; of a quoted string, what
// stands between the quotes (RFC 9110, section 5.6.4).
func unquoted(word string) string {
	inner, ok := strings.CutPrefix(word, `"`)
	if !ok {
		return word
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch {
		case inner[i] == '"':
			return b.String()
		case inner[i] == '\\' && i+1 < len(inner):
			i++
		}
		b.WriteByte(inner[i])
	}
	return "" // it never ends
}

// deltaSeconds reads a number of seconds; one that is too large to count is as
// large as can be (RFC 9110, section 10.2.3, with RFC 9111, section 1.2.2).
func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		n = 1<<31 - 1
	}
	return time.Duration(n) * time.Second, true
}
