package tunnel

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

// posts is a load of POSTs to an application, each with a body of its own, which
// must come back. Whatever happens meanwhile, each is answered, and reaches the
// application exactly once.
type posts struct {
	t        *testing.T
	app      *httptest.Server
	stop     chan struct{}
	posting  sync.WaitGroup
	answered atomic.Int32

	mu   sync.Mutex // guards the following
	seen map[string]int
}

func newPosts(t *testing.T) *posts {
	p := &posts{t: t, stop: make(chan struct{}), seen: map[string]int{}}
	p.app = target(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.seen[string(id)]++
		p.mu.Unlock()
		_, _ = w.Write(id)
	})
	return p
}

// begin sends them by r, four at a time, with bodies made from their text.
func (p *posts) begin(r *relay, body func(text string) io.Reader) {
	for worker := range 4 {
		p.posting.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-p.stop:
					return
				default:
				}
				if !p.post(r, fmt.Sprintf("%d-%d", worker, n), body) {
					return
				}
			}
		})
	}
}

func (p *posts) post(r *relay, id string, body func(text string) io.Reader) bool {
	resp, err := r.send(p.t.Context(), "POST", p.app.URL, body(id))
	if err != nil {
		p.t.Errorf("%s: %v (%v)", id, err, proto.AsError(err).Outcome)
		return false
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(raw) != id {
		p.t.Errorf("%s: %q, %v", id, raw, err)
		return false
	}
	p.answered.Add(1)
	return true
}

// awaitMore waits until fifty more are answered.
func (p *posts) awaitMore(what string) {
	p.t.Helper()
	begin := p.answered.Load()
	testkit.Eventually(p.t, patience, what, func() error {
		if n := p.answered.Load() - begin; n < 50 {
			return fmt.Errorf("%d were", n)
		}
		return nil
	})
}

// end stops them, and holds what has arrived against what was answered.
func (p *posts) end() {
	p.t.Helper()
	close(p.stop)
	p.posting.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) != int(p.answered.Load()) {
		p.t.Errorf("%d were answered, %d arrived", p.answered.Load(), len(p.seen))
	}
	for id, n := range p.seen {
		if n != 1 {
			p.t.Errorf("%s arrived %d times", id, n)
		}
	}
}
