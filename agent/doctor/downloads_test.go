package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDownloadsThatAreNotReachedAreAWarning(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc // of everything below /downloads/
		status Status
		says   string
	}{
		{"offered", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "sums and programs") }, Pass, "can be fetched from here"},
		{"none", http.NotFound, Pass, "offers no sallyport-agent-"},
		{"a filter of programs", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
				fmt.Fprint(w, "sums")
				return
			}
			http.Error(w, "Programs are forbidden here.", http.StatusForbidden)
		}, Warn, "answers downloads/sallyport-agent-"},
		{"a filter's page", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Ask your administrator.")
		}, Warn, "the scripts that install and upgrade do"},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Warn, "could not be fetched"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle("/", &fakeRelay{})
			mux.HandleFunc("/downloads/", c.answer)
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			r := examineWith(t, server.URL, "", nil)
			expect(t, r, CheckDownloads, c.status, c.says)
			if !r.OK {
				t.Error("the agent can do without")
			}
		})
	}
	expect(t, examineWith(t, "http://127.0.0.1:1", "", nil), CheckDownloads, Skip, "needs tcp-ipv4")
	expect(t, examineWith(t, "", "", nil), CheckDownloads, Skip)
}
