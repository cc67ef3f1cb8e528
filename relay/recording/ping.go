package recording

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
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

// Names of values that say yes, and of those that only who is signed in has.
var (
	saysYes  = []string{"ok", "success", "succeeded", "authenticated", "isauthenticated", "loggedin", "isloggedin", "signedin", "valid", "active", "status", "result", "state"}
	yes      = []string{"true", "ok", "success", "succeeded", "up", "active", "valid", "authenticated"}
	identity = []string{"username", "user_name", "login", "email", "userid", "user_id", "user", "uid", "id", "name"}
)

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
	values := scalars(document, nil, 3)
	for _, name := range saysYes {
		for _, v := range values {
			if strings.EqualFold(v.name, name) && slices.Contains(yes, strings.ToLower(v.text)) {
				d.Spec.Ping.SuccessPath, d.Spec.Ping.SuccessValues = v.place.String(), []string{v.text}
				d.note(Check, "%s was %s in the recorded answer, so that is what the ping expects.", v.place, shorten(v.text, 40))
				return
			}
		}
	}
	for _, name := range identity {
		for _, v := range values {
			if strings.EqualFold(v.name, name) && v.text != "" && v.text != "0" && v.text != "false" && v.text != "null" {
				d.Spec.Ping.SuccessPath = v.place.String()
				d.note(Check, "The recorded answer has %s, which only who is signed in should see: the ping passes where it is there.", v.place)
				return
			}
		}
	}
}

// scalar is a plain value of a JSON document.
type scalar struct {
	name, text string
	place      connection.JSONPlace
}

// scalars are the plain values of a document's objects, the nearest to its top
// first.
func scalars(v any, at connection.JSONPlace, depth int) []scalar {
	object, ok := v.(map[string]any)
	if !ok || depth == 0 {
		return nil
	}
	var here, below []scalar
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		place := at.Member(name)
		switch value := object[name].(type) {
		case string:
			here = append(here, scalar{name, value, place})
		case json.Number:
			here = append(here, scalar{name, value.String(), place})
		case bool:
			text := "false"
			if value {
				text = "true"
			}
			here = append(here, scalar{name, text, place})
		default:
			below = append(below, scalars(value, place, depth-1)...)
		}
	}
	return append(here, below...)
}
