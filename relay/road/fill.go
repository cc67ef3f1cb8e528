package road

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// fill tells the agent of each mark in text, which stands in that place of the
// request.
func fill(h http.Header, marks *connection.Marks, place, text string) {
	for _, m := range marks.In(text) {
		line := proto.Fill{Mark: m.Text, Place: place, Escape: string(m.Escape), Secret: m.Secret}.String()
		h[proto.HeaderFill] = append(h[proto.HeaderFill], line)
	}
}

// FillURI tells the agent of the marks in u.
func FillURI(h http.Header, marks *connection.Marks, u *url.URL) {
	fill(h, marks, proto.FillInURI, u.EscapedPath()+"?"+u.RawQuery)
}

// FillBody tells the agent of the marks in a body.
func FillBody(h http.Header, marks *connection.Marks, body string) {
	fill(h, marks, proto.FillInBody, body)
}

// mask asks the agent to hide its secrets in the answer, which comes to the
// relay itself: it must not learn by an echo what it was not told.
func mask(h http.Header, c *connection.Connection) {
	if names := connection.AgentSecrets(c.Spec); len(names) > 0 {
		h[proto.HeaderMask] = names
	}
}

// shownURL is u with placeholders in the place of marks, for the record.
func shownURL(u *url.URL, marks *connection.Marks) *url.URL {
	if len(marks.In(u.EscapedPath()+"?"+u.RawQuery)) == 0 {
		return u
	}
	shown := *u
	shown.RawQuery = marks.Shown(u.RawQuery)
	shown.Path, shown.RawPath = marks.Shown(u.Path), "" // the braces can't stand in a path as they are
	return &shown
}

// shownFields is the header as a reader of the record should see it: as the
// target got it, without what is between the relay and the agent.
func shownFields(h http.Header, marks *connection.Marks) http.Header {
	marked := h[proto.HeaderFill]
	h = h.Clone()
	proto.Strip(h)
	for _, line := range marked {
		f, err := proto.ParseFill(line)
		if err != nil { // written by fill: it can be read
			continue
		}
		for i, value := range h[f.Header()] {
			if strings.Contains(value, f.Mark) {
				h[f.Header()][i] = marks.Shown(value)
			}
		}
	}
	return h
}

// shownError is err with placeholders in the place of marks, which its text may
// hold where it names a URI.
func shownError(err error, marks *connection.Marks) error {
	e := proto.AsError(err)
	if e == nil || !marks.Any() {
		return err
	}
	shown := *e
	shown.Detail, shown.Hint = marks.Shown(e.Detail), marks.Shown(e.Hint)
	shown.Facts = maps.Clone(e.Facts)
	for name, fact := range shown.Facts {
		shown.Facts[name] = marks.Shown(fact)
	}
	return &shown
}
