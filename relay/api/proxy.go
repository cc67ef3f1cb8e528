package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/edge"
	"sallyport/relay/gateway"
)

// proxied takes the path of a request through a connection apart, without
// decoding what the application is to see as it was sent.
func proxied(path string) (id, rest string, ok bool) {
	path, ok = strings.CutPrefix(path, Prefix+"/connections/")
	if !ok {
		return "", "", false
	}
	id, path, ok = strings.Cut(path, "/")
	if !ok || id == "" {
		return "", "", false
	}
	if path == "proxy" {
		return unescaped(id), "", true
	}
	rest, ok = strings.CutPrefix(path, "proxy/")
	return unescaped(id), rest, ok
}

func unescaped(segment string) string {
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

// proxy hands a request to the gateway.
func (h *handler) proxy(w http.ResponseWriter, r *http.Request, actor account.Actor, id, rest string, began time.Time) {
	c, err := h.Registry.Resolve(r.Context(), actor, id)
	if err != nil {
		p := h.problemOf(r.Context(), err)
		p.notSent(began)
		h.refuse(w, r, p)
		return
	}
	w.Header().Del("Cache-Control") // the application's to say
	h.Gateway.Serve(w, r, c, gateway.Caller{Kind: actor.Kind, ID: actor.ID, Name: actor.Name}, rest, r.URL.RawQuery, edge.RequestID(r.Context()))
}

// notSent says of a request that is refused at the door what is said of every
// request through a connection: what became of it, and where its time went.
func (p *Problem) notSent(began time.Time) {
	p.Outcome = proto.OutcomeNotSent
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header[proto.HeaderOutcome] = []string{string(proto.OutcomeNotSent)}
	p.header["Server-Timing"] = []string{"total;dur=" + strconv.FormatFloat(float64(time.Since(began))/float64(time.Millisecond), 'f', 3, 64)}
}
