package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestBodiesStreamBothWays sends bodies much larger than relay and agent may
// hold, an endless one, and one whose caller goes away.
func TestBodiesStreamBothWays(t *testing.T) {
	s := newStage(t, "")
	id := s.save(t, s.sampleConnection(s.startSample(8090)))
	if a := s.get(t, id, "/me"); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}

	const size = 400 << 20
	// What relay and agent may grow by while so much passes: windows, buffers
	// and garbage, but not the body.
	const most = 120 << 20

	t.Run("a large download in bounded memory", func(t *testing.T) {
		grown := s.watchMemory(t)
		res, err := s.api.HTTP.Do(s.proxyRequest(t, "GET", id, fmt.Sprintf("/files/%d", size>>20), nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || n != size || res.ContentLength != size {
			t.Fatalf("%s: %d of %d bytes, %v", res.Status, n, size, err)
		}
		grown(most)
	})

	t.Run("a large upload in bounded memory", func(t *testing.T) {
		grown := s.watchMemory(t)
		sum := sha256.New()
		r := s.proxyRequest(t, "POST", id, "/files", io.TeeReader(io.LimitReader(counting{}, size), sum))
		r.ContentLength = size
		r.Header.Set("Content-Type", "application/octet-stream")
		a := s.send(t, r)
		if want := hex.EncodeToString(sum.Sum(nil)); a.StatusCode != 200 || !strings.Contains(a.body, want) {
			t.Fatalf("%d %s, want the sum %s", a.StatusCode, a.body, want)
		}
		grown(most)
	})

	t.Run("events arrive as they happen", func(t *testing.T) {
		ctx, cancel := context.WithCancel(within(t, time.Minute))
		defer cancel()
		res, err := s.api.HTTP.Do(s.proxyRequest(t, "GET", id, "/clock", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		ticks := 0
		for ticks < 2 && lines.Scan() {
			if lines.Text() == "event: tick" {
				ticks++
			}
		}
		if ticks != 2 {
			t.Fatalf("%s, %d ticks, %v", res.Status, ticks, lines.Err())
		}
	})

	t.Run("a caller who goes away cancels at the application", func(t *testing.T) {
		begun, gone := make(chan struct{}), make(chan struct{})
		serve(t, s.site.Listen(t, "127.0.0.1:8099"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
			close(gone)
		}))
		slow := s.save(t, s.sampleConnection("http://127.0.0.1:8099").with(object{"auth": object{"type": "none"}}))
		ctx, cancel := context.WithCancel(within(t, time.Minute))
		r := s.proxyRequest(t, "GET", slow, "/report", nil).WithContext(ctx)
		ended := make(chan error, 1)
		go func() {
			res, err := s.api.HTTP.Do(r)
			if err == nil {
				res.Body.Close()
			}
			ended <- err
		}()
		await(t, begun, "the application to receive the request")
		cancel()
		if err := <-ended; err == nil {
			t.Error("the request ended without an error")
		}
		await(t, gone, "the application to see the cancellation")
	})

	t.Run("an answer that is cut short is not taken for a whole one", func(t *testing.T) {
		serve(t, s.site.Listen(t, "127.0.0.1:8098"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			_, _ = io.WriteString(w, strings.Repeat("row\n", 1000))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		cut := s.save(t, s.sampleConnection("http://127.0.0.1:8098").with(object{"auth": object{"type": "none"}}))
		res, err := s.api.HTTP.Do(s.proxyRequest(t, "GET", cut, "/export", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Fatalf("%s: %d bytes and no error", res.Status, len(b))
		}
	})
}

// watchMemory notes how much memory relay and agent use now; what it returns
// fails the test where either has had more than that much more since.
func (s *stage) watchMemory(t *testing.T) func(most int64) {
	t.Helper()
	parts := map[string]*testkit.Process{"relay": s.relay, "agent": s.agent}
	before := make(map[string]int64)
	for name, p := range parts {
		// 5 resets the peak (proc(5), clear_refs).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0o200); err != nil {
			t.Fatal(err)
		}
		before[name] = peakMemory(t, p.PID())
	}
	return func(most int64) {
		t.Helper()
		for name, p := range parts {
			grown := peakMemory(t, p.PID()) - before[name]
			t.Logf("the %s grew by %d MB", name, grown>>20)
			if grown > most {
				t.Errorf("the %s grew by %d MB, more than %d", name, grown>>20, most>>20)
			}
		}
	}
}

// peakMemory is the most resident memory that a process has had, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no VmHWM in %s", b)
	return 0
}

// counting is an endless body that does not repeat itself soon, so that lost
// or swapped pieces show.
type counting struct{}

func (counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("gave up waiting for %s", what)
	}
}

// silent is a log that nobody reads.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
