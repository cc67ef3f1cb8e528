package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/result"
)

// heap is Results without a disk: those of the registry are tested there, and in
// relays as they run.
type heap struct {
	mu   sync.Mutex
	m    map[result.Key]*result.Result // nil: it is under way
	fail error
}

func (h *heap) BeginResult(_ context.Context, key result.Key) (*result.Known, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return nil, h.fail
	}
	if r, ok := h.m[key]; ok {
		return &result.Known{Result: r}, nil
	}
	h.m[key] = nil
	return nil, nil
}

func (h *heap) KeepResult(_ context.Context, key result.Key, r result.Result) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.m[key] = &r
	return h.fail
}

func (h *heap) FreeResult(_ context.Context, key result.Key) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, key)
	return h.fail
}

func keyedSite(t *testing.T) (*site, *heap) {
	s, h := newSite(t, nil), &heap{m: map[result.Key]*result.Result{}}
	s.gateway.results = h
	s.mux.HandleFunc("/base/ok", func(http.ResponseWriter, *http.Request) {})
	s.do(t, "GET", "/ok", nil) // signed in
	s.reached.Store(0)
	return s, h
}

// post sends a request with a key.
func (s *site) post(t testing.TB, path, key, body string, fields ...string) *http.Response {
	t.Helper()
	return s.do(t, "POST", path, strings.NewReader(body), append([]string{"Idempotency-Key", key}, fields...)...)
}

// replayed checks an answer against the first one's, and that it says that it
// is not a new one.
func replayed(t *testing.T, first, again *http.Response) {
	t.Helper()
	if a, b := text(t, first), text(t, again); first.StatusCode != again.StatusCode || a != b {
		t.Errorf("%s with %d bytes, the first was %s with %d", again.Status, len(b), first.Status, len(a))
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Location", "X-App", "Sallyport-Error", "Content-Length"} {
		if a, b := first.Header.Get(name), again.Header.Get(name); a != b {
			t.Errorf("%s: %q, the first was %q", name, b, a)
		}
	}
	if a, b := fmt.Sprint(first.Trailer), fmt.Sprint(again.Trailer); a != b {
		t.Errorf("trailer %s, the first was %s", b, a)
	}
	if first.Header.Get("Idempotency-Replayed") != "" || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("replayed: %q, the first %q", again.Header.Get("Idempotency-Replayed"), first.Header.Get("Idempotency-Replayed"))
	}
}

func TestARepeatedPostGetsTheFirstOnesResult(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"created": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/base/orders/1")
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-App", "kept")
			w.Header().Set("Set-Cookie", "later=2; Path=/")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":1}`)
		},
		"no content":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"failed":      func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) },
		"unavailable": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"encoded": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = w.Write([]byte{0, 1, 2, 255})
		},
		"trailers": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
		},
		"long": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, resultLimit)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := keyedSite(t)
			s.mux.HandleFunc("/base/orders", answer)
			first, again := s.post(t, "/orders?a=1", `"k-1"`, "order"), (*http.Response)(nil)
			_ = text(t, first)
			first = s.post(t, "/orders?a=1", "k-2", "order")
			body := text(t, first)
			first.Body = io.NopCloser(strings.NewReader(body))
			again = s.post(t, "/orders?a=1", `"k-2"`, "order") // quoted or not, it is the same
			replayed(t, first, again)
			if s.reached.Load() != 2 {
				t.Errorf("the application was reached %d times", s.reached.Load())
			}
		})
	}
}

func TestAKeyIsForOneRequestOfOneCaller(t *testing.T) {
	s, _ := keyedSite(t)
	s.mux.HandleFunc("/base/orders", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	s.post(t, "/orders", "k", "order", "X-Caller", "a")
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/orders", "another"}, {"POST", "/orders", ""}, {"POST", "/orders?x=1", "order"}, {"PATCH", "/orders", "order"},
	} {
		resp := s.do(t, c.method, c.path, strings.NewReader(c.body), "Idempotency-Key", "k", "X-Caller", "a")
		if p := problemOf(t, resp); resp.StatusCode != 422 || p.Reason != ReasonKeyReused || p.Outcome != proto.OutcomeNotSent || resp.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s %s %q: %s %+v", c.method, c.path, c.body, resp.Status, p)
		}
	}
	if s.reached.Load() != 1 {
		t.Errorf("the application was reached %d times", s.reached.Load())
	}
	if resp := s.post(t, "/orders", "k", "mine", "X-Caller", "b"); text(t, resp) != "mine" {
		t.Error("another caller got the first one's result")
	}
	if resp := s.do(t, "PUT", "/orders", strings.NewReader("put"), "Idempotency-Key", "k", "X-Caller", "a"); text(t, resp) != "put" {
		t.Error("a PUT needs no key")
	}
	for _, keys := range [][]string{{""}, {" "}, {`""`}, {`"open`}, {"a\tb"}, {"ümlaut"}, {strings.Repeat("x", 256)}, {"a", "b"}} {
		var fields []string
		for _, key := range keys {
			fields = append(fields, "Idempotency-Key", key)
		}
		if p := problemOf(t, s.do(t, "POST", "/orders", strings.NewReader("x"), fields...)); p.Code != proto.CodeValidation || p.Hint == "" {
			t.Errorf("%q: %+v", keys, p)
		}
	}
}

// TestWhatCameToNothingFreesItsKey, and nothing else does.
func TestWhatCameToNothingFreesItsKey(t *testing.T) {
	t.Run("not sent", func(t *testing.T) {
		s, _ := keyedSite(t)
		s.mux.HandleFunc("/base/orders", func(http.ResponseWriter, *http.Request) {})
		right := s.c.BaseURI
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		s.c.BaseURI = "http://" + l.Addr().String()
		s.c.Auth.Type = "none"
		if p := problemOf(t, s.post(t, "/orders", "k", "x")); p.Outcome != proto.OutcomeNotSent {
			t.Fatalf("%+v", p)
		}
		s.c.BaseURI, s.c.Auth.Type = right, "cookie"
		if resp := s.post(t, "/orders", "k", "x"); resp.StatusCode != 200 || s.reached.Load() != 1 {
			t.Errorf("%s, reached %d times", resp.Status, s.reached.Load())
		}
	})
	for status, free := range map[int]bool{401: true, 425: true, 429: true, 400: false, 403: false, 500: false, 503: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s, h := keyedSite(t)
			s.c.Auth.Type = "none"
			s.app.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
			if resp := s.post(t, "/orders", "k", "x"); resp.StatusCode != status {
				t.Fatal(resp.Status)
			}
			s.relay.Close() // so that it is settled
			if got := len(h.m) == 0; got != free {
				t.Errorf("free: %v, want %v", got, free)
			}
		})
	}
}

// TestWhatMayHaveBeenDoneIsNeverSentAgain: also where nobody knows.
func TestWhatMayHaveBeenDoneIsNeverSentAgain(t *testing.T) {
	s, _ := keyedSite(t)
	s.mux.HandleFunc("/base/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	s.mux.HandleFunc("/base/breaks", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 100_000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	s.mux.HandleFunc("/base/huge", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, resultLimit+1)) })
	for _, c := range []struct {
		path    string
		limit   int64
		status  int
		code    proto.Code
		outcome proto.Outcome
		says    string
	}{
		{"/slow", 60, 504, proto.CodeTargetTimeout, proto.OutcomeUnknown, "longer than 60ms"},
		{"/breaks", 0, 502, proto.CodeTargetUnreachable, proto.OutcomeSent, "closed the connection"},
		{"/huge", 0, 409, proto.CodeConflict, proto.OutcomeSent, "answered 200, and the answer is longer than the 1024 KiB"},
	} {
		s.reached.Store(0)
		s.c.Requests.Timeouts.FirstByteMs = c.limit
		_, _ = io.Copy(io.Discard, s.post(t, c.path, "k"+c.path, "x").Body)
		resp := s.post(t, c.path, "k"+c.path, "x")
		if p := problemOf(t, resp); resp.StatusCode != c.status || p.Code != c.code || p.Outcome != c.outcome || !strings.Contains(p.Detail, c.says) || resp.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %s %+v", c.path, resp.Status, p)
		}
		if s.reached.Load() != 1 {
			t.Errorf("%s was sent %d times", c.path, s.reached.Load())
		}
	}
}

func TestOfManyAtOnceOneIsSent(t *testing.T) {
	s, _ := keyedSite(t)
	leave := make(chan struct{})
	s.mux.HandleFunc("/base/orders", func(w http.ResponseWriter, r *http.Request) { <-leave; _, _ = io.Copy(w, r.Body) })
	var conflicts, results atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp := s.post(t, "/orders", "k", "x")
			switch body := text(t, resp); resp.StatusCode {
			case 200:
				if body != "x" {
					t.Errorf("%q", body)
				}
				results.Add(1)
			case 409:
				if resp.Header.Get("Retry-After") == "" || !strings.Contains(body, string(ReasonStillRunning)) {
					t.Errorf("%v %s", resp.Header, body)
				}
				if conflicts.Add(1) == 19 {
					close(leave)
				}
			default:
				t.Error(resp.Status)
			}
		})
	}
	all.Wait()
	if s.reached.Load() != 1 || results.Load() != 1 || conflicts.Load() != 19 {
		t.Errorf("sent %d times, %d results, %d conflicts", s.reached.Load(), results.Load(), conflicts.Load())
	}
	if resp := s.post(t, "/orders", "k", "x"); text(t, resp) != "x" {
		t.Error(resp.Status)
	}
}

// TestACallerWhoLeftGetsTheResultLater: the request goes on without him.
func TestACallerWhoLeftGetsTheResultLater(t *testing.T) {
	s, _ := keyedSite(t)
	begun, leave := make(chan struct{}), make(chan struct{})
	s.mux.HandleFunc("/base/orders", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		select {
		case <-leave:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
			t.Error("the request was given up")
		}
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s/orders HTTP/1.1\r\nHost: relay\r\nIdempotency-Key: k\r\nContent-Length: 1\r\n\r\nx", prefix)
	<-begun
	_ = conn.Close()
	if resp := s.post(t, "/orders", "k", "x"); resp.StatusCode != 409 {
		t.Errorf("while it is under way: %s", resp.Status)
	}
	close(leave)
	for deadline := time.Now().Add(10 * time.Second); ; {
		resp := s.post(t, "/orders", "k", "x")
		if got := text(t, resp); got == "done" && resp.Header.Get("Idempotency-Replayed") == "true" {
			break
		} else if resp.StatusCode != 409 || time.Now().After(deadline) {
			t.Fatalf("%s %s", resp.Status, got)
		}
	}
	if s.reached.Load() != 1 {
		t.Errorf("sent %d times", s.reached.Load())
	}
}

func TestWithoutAStoreForItsKeyARequestIsNotSent(t *testing.T) {
	s, h := keyedSite(t)
	s.mux.HandleFunc("/base/orders", func(http.ResponseWriter, *http.Request) {})
	h.fail = errors.New("disk full")
	if p := problemOf(t, s.post(t, "/orders", "k", "x")); p.Code != proto.CodeInternal || p.Outcome != proto.OutcomeNotSent || p.Reason != ReasonNoResults {
		t.Errorf("%+v", p)
	}
	h.fail = &proto.Error{Code: proto.CodeNotFound, Detail: "There is no such connection."} // since the request came
	if p := problemOf(t, s.post(t, "/orders", "k", "x")); p.Code != proto.CodeNotFound || p.Outcome != proto.OutcomeNotSent {
		t.Errorf("%+v", p)
	}
	h.fail = nil
	h.m[result.Key{WorkspaceID: "wsp_1", ConnectionID: "con_1", Caller: "token ", Key: "k"}] = nil // its relay was killed
	if p := problemOf(t, s.post(t, "/orders", "k", "x")); p.Outcome != proto.OutcomeUnknown || p.Reason != ReasonResultLost {
		t.Errorf("%+v", p)
	}
	if s.reached.Load() != 0 {
		t.Errorf("sent %d times", s.reached.Load())
	}
}
