package api

import (
	"net/http"
	"net/url"
	"strings"

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
func (h *handler) proxy(w http.ResponseWriter, r *http.Request, actor account.Actor, id, rest string) {
	c, err := h.Registry.Resolve(r.Context(), actor, id)
	if err != nil {
		h.refuse(w, r, h.problemOf(r.Context(), err))
		return
	}
	w.Header().Del("Cache-Control") // the application's to say
	h.Gateway.Serve(w, r, c, gateway.Caller{Kind: actor.Kind, ID: actor.ID, Name: actor.Name}, rest, r.URL.RawQuery, edge.RequestID(r.Context()))
}
