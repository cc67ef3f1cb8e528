//go:build unix

package balancer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// load is a steady stream of GETs and POSTs through the balancer, each with an
// id of its own, which the application echoes.
type load struct {
	end func() // ends it and waits

	mu       sync.Mutex // guards the following
	answered int
	slowest  time.Duration
	posts    map[string]string // by id: "" where it was answered, or how it failed
	failures []string
}

// load starts so many senders, each of which sends one request after the other
// by the client.
func (s *stage) load(t *testing.T, client *http.Client, senders int) *load {
	t.Helper()
	l := &load{posts: map[string]string{}}
	var work sync.WaitGroup
	end := make(chan struct{})
	l.end = sync.OnceFunc(func() { close(end); work.Wait() })
	t.Cleanup(l.end)
	for sender := range senders {
		work.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-pace.C:
				}
				method := []string{"GET", "POST"}[n%2]
				l.one(s, client, method, fmt.Sprintf("%s-%s-%d-%d", t.Name(), method, sender, n))
			}
		})
	}
	return l
}

// one sends one request and notes what became of it.
func (l *load) one(s *stage, client *http.Client, method, id string) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(id)
	}
	req := s.request(method, "/count?id="+id, body)
	if body != nil {
		req.GetBody = nil // so that Go's client never sends it again by itself
	}
	began := time.Now()
	failure := exchange(client, req)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if method == http.MethodPost {
		l.posts[id] = failure
	}
	if failure == "" {
		l.answered++
	} else {
		l.failures = append(l.failures, fmt.Sprintf("%s after %s: %s", id, took.Round(time.Millisecond), failure))
	}
}

// exchange returns how the request failed, "" where it was answered with 200.
func exchange(client *http.Client, req *http.Request) string {
	resp, err := client.Do(req)
	if err != nil {
		return "broken: " + err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "broken: " + err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s (Sallyport-Error %q): %.600s", resp.Status, resp.Header.Get("Sallyport-Error"), raw)
	}
	return ""
}

// await waits until so many more requests were answered.
func (l *load) await(t *testing.T, more int) {
	t.Helper()
	begin := l.count()
	testkit.Eventually(t, patience, fmt.Sprintf("%d more requests are answered", more), func() error {
		if n := l.count() - begin; n < more {
			return errors.New(fmt.Sprint(n, " were"))
		}
		return nil
	})
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// finish ends the load and returns what failed.
func (l *load) finish() []string {
	l.end()
	return l.failures
}

// stop ends the load, of which nothing may have failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	failures := l.finish()
	for _, f := range failures[:min(len(failures), 20)] {
		t.Error(f)
	}
	t.Logf("%d requests were answered, %d failed; the slowest took %s", l.answered, len(failures), l.slowest.Round(time.Millisecond))
}
