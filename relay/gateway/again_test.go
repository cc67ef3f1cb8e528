package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// threeTries waits no longer than a test should.
var threeTries = connection.Retry{Attempts: 3, BackoffMs: 2, MaxBackoffMs: 2000}

func TestOnlyWhatIsSafeIsTriedAgain(t *testing.T) {
	long := strings.Repeat("x", 2*replayLimit)
	for _, c := range []struct {
		name, method string
		body         string
		fails        int // answers that fail, before those that do not
		status       int
		fields       []string // of a failing answer
		want         int
		tries        int
	}{
		{"mended by the third try", "GET", "", 2, 503, nil, 200, 3},
		{"never mended", "GET", "", 9, 502, nil, 502, 3},
		{"a timeout of a gateway", "DELETE", "", 1, 504, nil, 200, 2},
		{"too many, and when to come back", "GET", "", 1, 429, []string{"Retry-After", "0"}, 200, 2},
		{"later than may be waited", "GET", "", 1, 429, []string{"Retry-After", "3"}, 429, 1},
		{"a date that has passed", "GET", "", 1, 503, []string{"Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"}, 200, 2},
		{"a date in an hour", "GET", "", 1, 503, []string{"Date", "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After", "Wed, 21 Oct 2015 08:28:00 GMT"}, 503, 1},
		{"another failure", "GET", "", 1, 500, nil, 500, 1},
		{"a PUT with its body", "PUT", "put", 2, 503, nil, 200, 3},
		{"a PUT whose body is too long to keep", "PUT", long, 1, 503, nil, 503, 1},
		{"a POST", "POST", "post", 1, 503, nil, 503, 1},
		{"a PATCH", "PATCH", "patch", 1, 429, nil, 429, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			s.c.Requests.Retry = threeTries
			var tries atomic.Int64
			s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != c.body {
					t.Errorf("%d bytes of %d came", len(body), len(c.body))
				}
				if int(tries.Add(1)) <= c.fails {
					for i := 0; i < len(c.fields); i += 2 {
						w.Header().Set(c.fields[i], c.fields[i+1])
					}
					w.WriteHeader(c.status)
				}
			})
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			resp := s.do(t, c.method, "/x", body)
			if resp.StatusCode != c.want || int(tries.Load()) != c.tries || resp.Header.Get(proto.HeaderAttempts) != fmt.Sprint(c.tries) {
				t.Errorf("%s after %d tries, %s told", resp.Status, tries.Load(), resp.Header.Get(proto.HeaderAttempts))
			}
			if told := strings.Contains(resp.Header.Get("Server-Timing"), "retry;dur="); told != (c.tries > 1) {
				t.Errorf("Server-Timing %s", resp.Header.Get("Server-Timing"))
			}
		})
	}
}

// TestWhatWasNotSentIsTriedAgainWhateverItIs: a POST to an application that is
// just starting. It is sent once.
func TestWhatWasNotSentIsTriedAgainWhateverItIs(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	s.do(t, "GET", "/x", nil) // signed in
	s.reached.Store(0)
	address := s.app.Listener.Addr().String()
	s.app.CloseClientConnections()
	_ = s.app.Listener.Close()
	s.c.Requests.Retry = connection.Retry{Attempts: 10, BackoffMs: 400, MaxBackoffMs: 400}
	refused := s.do(t, "GET", "/x", nil, "X-Give-Up", "1")
	if p := problemOf(t, refused); p.Code != proto.CodeTargetRefused || p.Outcome == proto.OutcomeSent || refused.Header.Get(proto.HeaderAttempts) != "10" {
		t.Errorf("%+v after %s tries", p, refused.Header.Get(proto.HeaderAttempts))
	}
	back := time.AfterFunc(100*time.Millisecond, func() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = l.Close() })
		_ = http.Serve(l, http.HandlerFunc(s.serveApp)) // ends with the listener
	})
	defer back.Stop()
	resp := s.do(t, "POST", "/x", strings.NewReader("once"))
	if got := text(t, resp); resp.StatusCode != 200 || got != "once" || s.reached.Load() != 1 {
		t.Errorf("%s %q, the application was reached %d times", resp.Status, got, s.reached.Load())
	}
}

// TestAFailureSaysWhatBecameOfAllTries: the last one was not sent, but one
// before it was.
func TestAFailureSaysWhatBecameOfAllTries(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/ok", func(http.ResponseWriter, *http.Request) {})
	s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
		_ = s.app.Listener.Close()
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s.do(t, "GET", "/ok", nil)
	s.c.Requests.Retry = connection.Retry{Attempts: 2, BackoffMs: 1}
	if p := problemOf(t, s.do(t, "PUT", "/x", strings.NewReader("x"))); p.Code != proto.CodeTargetRefused || p.Outcome != proto.OutcomeSent {
		t.Errorf("%+v", p)
	}
}

func TestNoTryIsMadeAfterTheTimeOfAllOfIt(t *testing.T) {
	s := newSite(t, nil)
	var tries atomic.Int64
	s.mux.HandleFunc("/base/ok", func(http.ResponseWriter, *http.Request) {})
	s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s.do(t, "GET", "/ok", nil)
	s.c.Requests = connection.Requests{Retry: connection.Retry{Attempts: 3, MaxBackoffMs: 120_000}, Timeouts: connection.Timeouts{TotalMs: 30_000}}
	if resp := s.do(t, "GET", "/x", nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "60" || tries.Load() != 1 {
		t.Errorf("%s after %d tries", resp.Status, tries.Load())
	}
}
