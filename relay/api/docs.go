package api

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/swaggest/swgui/v5/static"
)

//go:embed docs/index.html
var docsPage []byte

//go:embed docs/start.js
var docsStart []byte

//go:embed docs/page.css
var docsStyle []byte

// docsPolicy lets the page load nothing from anywhere else. The viewer sets
// style attributes while it runs, and draws its icons from data URIs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newDocs serves the OpenAPI document, and the page that shows it, from what
// the program holds itself: both work without a network.
func newDocs(doc *huma.OpenAPI) http.Handler {
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic("OpenAPI document: " + err.Error()) // a fault of this package, found by its tests
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		send(w, "application/json", text)
	})
	mux.Handle("GET /docs/{$}", http.RedirectHandler("/docs", http.StatusMovedPermanently))
	own := func(path, mediaType string, body []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", docsPolicy)
			send(w, mediaType, body)
		})
	}
	own("/docs", "text/html; charset=utf-8", docsPage)
	own("/docs/start.js", "text/javascript; charset=utf-8", docsStart)
	own("/docs/page.css", "text/css; charset=utf-8", docsStyle)
	viewer := func(name, mediaType string) {
		mux.HandleFunc("GET /docs/"+name, func(w http.ResponseWriter, r *http.Request) { sendViewer(w, r, name, mediaType) })
	}
	viewer("swagger-ui.css", "text/css; charset=utf-8")
	viewer("swagger-ui-bundle.js", "text/javascript; charset=utf-8")
	return mux
}

func send(w http.ResponseWriter, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	_, _ = w.Write(body) // the reader is gone, if this fails
}

// sendViewer sends a file of the viewer, which is embedded compressed.
func sendViewer(w http.ResponseWriter, r *http.Request, name, mediaType string) {
	packed, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		http.Error(w, "not embedded: "+name, http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("Vary", "Accept-Encoding")
	w.Header().Set("Content-Type", mediaType)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
		return
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		http.Error(w, "damaged: "+name, http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, plain)
}
