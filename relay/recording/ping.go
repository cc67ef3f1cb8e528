package recording

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
)

var (
	aboutMe  = regexp.MustCompile(`(?i)(?:^|[/_.-])(?:me|whoami|self|myself|profile|current|currentuser|account|user|userinfo|identity|session|principal)(?:[/_.-]|$)`)
	aboutApp = regexp.MustCompile(`(?i)(?:^|[/_.-])(?:status|health|healthz|ping|version|info|about|system)(?:[/_.-]|$)`)
	notAPing = regexp.MustCompile(`(?i)log-?out|sign-?out|analytics|telemetry|metrics|translation|i18n|locale|feature|config|manifest|static|assets|track|beacon|notification`)
)

// findPing is the request that would do best to tell whether one is signed in:
// a GET below the same origin that was answered with JSON or XML, best about the
// user himself. Nil: none.
func findPing(all []*request, base *url.URL) *request {
	var best *request
	worth := 0
	for _, r := range all {
		if r.method != "GET" || r.answer == nil || r.answer.status != 200 || !connection.SameOrigin(base, r.url) {
			continue
		}
		mime := strings.ToLower(r.answer.mimeType + field(r.answer.header, "Content-Type"))
		if !strings.Contains(mime, "json") && !strings.Contains(mime, "xml") || strings.Contains(mime, "html") || strings.Contains(mime, "svg") {
			continue
		}
		w := 20 - min(strings.Count(r.url.Path, "/"), 6) - min(len(r.url.RawQuery)/20, 4)
		switch {
		case notAPing.MatchString(r.url.Path):
			w -= 12
		case aboutMe.MatchString(r.url.Path):
			w += 10
		case aboutApp.MatchString(r.url.Path):
			w += 4
		}
		if w > worth {
			best, worth = r, w
		}
	}
	return best
}

// propose proposes a success path from the recorded answer.
func (d *Draft) propose(r *request) {
	if r.answer == nil || r.answer.text == "" {
		return
	}
	decoder := json.NewDecoder(strings.NewReader(r.answer.text))
	decoder.UseNumber()
	var document any
	if decoder.Decode(&document) != nil {
		return
	}
	all := connection.ProposeSuccess(document)
	if len(all) == 0 {
		return
	}
	best := all[0]
	d.Spec.Ping.SuccessPath, d.Spec.Ping.SuccessValues = best.Path, best.Values
	if len(best.Values) > 0 {
		d.note(Check, "%s was %s in the recorded answer, so that is what the ping expects.", best.Path, shorten(best.Values[0], 40))
		return
	}
	d.note(Check, "The recorded answer has %s, which only who is signed in should see: the ping passes where it is there.", best.Path)
}
