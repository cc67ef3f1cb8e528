package outbound

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkSmallGet is what a request costs over a connection that is kept
// alive, where it asks for nothing special.
func BenchmarkSmallGet(b *testing.B) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))
	defer app.Close()
	tr := New(Options{})
	defer tr.Close()
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), "GET", app.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
