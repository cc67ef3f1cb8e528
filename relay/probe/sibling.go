package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// siblingTime bounds the look around a ping that found nothing: it is a help
// beyond the test, and its reader waits.
const siblingTime = 3 * time.Second

// below are path prefixes under which APIs mostly lie.
var below = []string{"/api", "/rest", "/api/v1"}

// siblings looks for a ping that was answered 404 at the places next to it: one
// level up, and below the usual prefixes. Only a ping by GET is tried again, with
// the session that there is; what it finds must be no page for people. Nil: it
// is at none of them.
func (r *run) siblings(ctx context.Context, e evidence) *advice {
	if e.failure != nil || !e.answered() || e.status() != http.StatusNotFound || len(e.exchange.Hops) != 1 || r.c.Ping.Method != http.MethodGet {
		return nil
	}
	base, err := connection.ParseBase(r.c.BaseURI)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, siblingTime)
	defer cancel()
	ref := "/" + strings.TrimLeft(r.c.Ping.URI, "/")
	for _, prefix := range below {
		if strings.HasPrefix(ref, prefix+"/") || strings.HasSuffix(base.EscapedPath(), prefix) {
			continue
		}
		if r.answersAt(ctx, r.c.BaseURI, prefix+ref) {
			uri := prefix + ref
			return &advice{ID: "path-sibling", Text: fmt.Sprintf("There is nothing at %s, but %s answers.", bare(e.exchange.Last().URL), uri),
				Fix: &Fix{Label: "Use " + shorten(uri, 40), Field: "ping.uri", Value: uri}}
		}
	}
	for path := base.EscapedPath(); path != ""; {
		path = path[:strings.LastIndexByte(path, '/')]
		upper := (&url.URL{Scheme: base.Scheme, Host: base.Host}).String() + path
		if !r.answersAt(ctx, upper, ref) {
			continue
		}
		h := &advice{ID: "path-sibling", Text: fmt.Sprintf("There is nothing at %s, but %s%s answers: the base URI is too long for this ping.", bare(e.exchange.Last().URL), upper, pathOnly(ref))}
		if r.c.Auth.Type.SignsIn() {
			h.Text += fmt.Sprintf(" Make the base URI %s, and begin the other URIs with %s.", upper, strings.TrimPrefix(base.EscapedPath(), path))
		} else {
			h.Fix = &Fix{Label: "Use " + shorten(upper, 60), Field: "baseUri", Value: upper}
		}
		return h
	}
	return nil
}

// answersAt reports whether the ping would be answered at another place.
func (r *run) answersAt(ctx context.Context, base, ref string) bool {
	moved := *r.c
	moved.BaseURI = base
	marks := &connection.Marks{}
	u, err := moved.URL(ref, marks)
	if err != nil {
		return false
	}
	request := road.Request{Method: http.MethodGet, URL: u, Marks: marks, RequestID: r.requestID, Timeout: siblingTime}
	if r.attempt != nil && r.attempt.Jar != nil {
		request.Jar = r.attempt.Jar
	}
	exchange, err := road.Send(ctx, r.rt, &moved, request)
	if err != nil || exchange.Last().Status/100 != 2 {
		return false
	}
	found := evidence{c: r.c, step: StepPing, exchange: exchange}
	_, isPage := found.page()
	return !isPage
}

func pathOnly(ref string) string {
	path, _, _ := strings.Cut(ref, "?")
	return path
}
