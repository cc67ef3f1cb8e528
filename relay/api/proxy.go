package api

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/edge"
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
	if actor.Kind == "user" {
		// A browser session may open an application's page here, in the
		// relay's own origin. Sandboxed, its scripts can't act as the user.
		w = &sandboxed{ResponseWriter: w}
	}
	h.Gateway.Serve(w, r, c, rest, r.URL.RawQuery, edge.RequestID(r.Context()))
}

// sandboxed makes sure, just before the header goes out, that a browser gives
// the answer an origin of its own and keeps nothing of it for the relay's.
type sandboxed struct {
	http.ResponseWriter
	wrote bool
}

func (s *sandboxed) WriteHeader(code int) {
	s.wrote = s.wrote || code >= 200
	header := s.Header()
	header.Set("Content-Security-Policy", "sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	for _, field := range []string{"Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Alt-Svc"} {
		header.Del(field)
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *sandboxed) Write(p []byte) (int, error) {
	if !s.wrote {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(p)
}

func (s *sandboxed) Unwrap() http.ResponseWriter { return s.ResponseWriter }
