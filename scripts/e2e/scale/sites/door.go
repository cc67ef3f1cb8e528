package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"sallyport/agent/link"
)

// handler serves the report, and the application that agents are asked to
// reach: a sign-in with a cookie, who is signed in, an endless download, events, and
// an answer that never comes.
func handler(seen *observer, links []*link.Link, tunnels []int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(report(seen, links, tunnels, r.URL.Query().Has("gc"))) // a test that went away reads nothing
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { seen.reset() })
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "1", Path: "/"})
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("SID"); err != nil {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":true}`))
	})
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /endless", func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; r.Context().Err() == nil; n++ {
			if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	mux.HandleFunc("GET /never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

func report(seen *observer, links []*link.Link, tunnels []int, collect bool) Report {
	var r Report
	seen.report(&r)
	for i, l := range links {
		n := len(l.Status().Tunnels)
		r.Tunnels += n
		if n > 0 {
			r.Online++
		}
		if n == tunnels[i] {
			r.Whole++
		}
	}
	if collect {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Goroutines, r.HeapBytes = runtime.NumGoroutine(), m.HeapAlloc
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.Files = len(files)
	}
	return r
}
