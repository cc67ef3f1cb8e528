package download

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

// listPage is plain on purpose: it is read in the browser of a server, or by
// curl, and loads nothing.
var listPage = template.Must(template.New("list").Funcs(template.FuncMap{"megabytes": func(n int64) string {
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Downloads</title></head>
<body><h1>Downloads</h1>
<p>The Sallyport agent, for each system. The pages of <a href="/">this relay</a> have the command that installs it.</p>
<table><thead><tr><th align="left">File</th><th align="right">Size</th><th align="left">SHA-256</th></tr></thead><tbody>
{{range .}}<tr><td><a href="{{.Name}}">{{.Name}}</a></td><td align="right">{{megabytes .Size}}</td><td><code>{{.SHA256}}</code></td></tr>
{{end}}</tbody></table>
<p><a href="SHA256SUMS">SHA256SUMS</a>: <code>sha256sum -c --ignore-missing SHA256SUMS</code></p>
</body></html>
`))

// list shows what there is, to people or to programs.
func (s *Shelf) list(w http.ResponseWriter, r *http.Request) {
	files, err := s.files()
	if err != nil {
		s.nothing(w, err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept")
	var out bytes.Buffer
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
		err = listPage.Execute(&out, files)
	} else {
		h.Set("Content-Type", "application/json")
		err = json.NewEncoder(&out).Encode(map[string][]file{"items": files})
	}
	if err != nil {
		panic(err) // our own template and type, to memory
	}
	_, _ = w.Write(out.Bytes())
}
