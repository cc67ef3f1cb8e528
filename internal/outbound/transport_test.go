package outbound

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sallyport/proto"
)

// rawRequest is what a target received, byte by byte.
func rawRequest(t *testing.T, req *http.Request) string {
	t.Helper()
	got := make(chan string, 1)
	address := listen(t, func(c net.Conn) {
		var seen bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &seen)))
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		got <- seen.String()
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	req.URL.Host = address
	resp, err := transport(t, Options{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return strings.ReplaceAll(<-got, address, "ADDRESS")
}

func TestRequestGoesOutAsItIs(t *testing.T) {
	req := request(t, "GET", "http://x/a%2Fb?q=1&q=2", "")
	req.Host = ""
	req.Header = http.Header{"X-Company": {"7", "8"}, "Sallyport-Request-Id": {"req_1"}, "sallyport-odd": {"x"}, "Sallyport-Timeout": {"1000"}}
	want := "GET /a%2Fb?q=1&q=2 HTTP/1.1\r\nHost: ADDRESS\r\nX-Company: 7\r\nX-Company: 8\r\n\r\n"
	if got := rawRequest(t, req); got != want {
		t.Errorf("sent %q,\nwant %q", got, want)
	}
	if req.Header.Get("Sallyport-Request-Id") != "req_1" || req.Header["User-Agent"] != nil {
		t.Errorf("the caller's header was changed: %v", req.Header)
	}
}

func TestAnswerComesBackAsItIs(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("hello"))
	_ = z.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Sallyport-Error", "forged")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		_, _ = w.Write(zipped.Bytes())
	}))
	defer server.Close()
	req := request(t, "GET", server.URL, "")
	resp, err := transport(t, Options{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(body, zipped.Bytes()) || resp.StatusCode != http.StatusFound || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("status %d, header %v, body %q, %v", resp.StatusCode, resp.Header, body, err)
	}
	if resp.Header.Get(proto.HeaderError) != "" || resp.Request != req {
		t.Errorf("Sallyport-Error of the target got through, or the request is not the caller's")
	}
	timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	if err != nil || timing.Wait <= 0 || timing.Connect <= 0 || timing.Address != server.Listener.Addr().String() || timing.Reused {
		t.Errorf("timing %+v, %v", timing, err)
	}
}

func TestConnectionsAreKeptAlive(t *testing.T) {
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	core, logs := observer.New(zap.DebugLevel)
	tr := transport(t, Options{Log: zap.New(core)})
	var timing proto.Timing
	for range 5 {
		req := request(t, "GET", server.URL, "")
		req.Header.Set(proto.HeaderTimeout, "60000")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		timing, _ = proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	}
	if n := conns.Load(); n != 1 || !timing.Reused || timing.Connect != 0 || timing.Address == "" {
		t.Errorf("%d connections, last timing %+v", n, timing)
	}
	if n := logs.FilterMessage("target connected").Len(); n != 1 {
		t.Errorf("%d lines about new connections, want 1", n)
	}
}

// A target may close a kept-alive connection at any time. What was not written
// is sent again; a POST that was written is not.
func TestPostIsNeverSentTwice(t *testing.T) {
	for _, key := range []string{"", "Idempotency-Key", "X-Idempotency-Key"} {
		for _, body := range []string{"", "body"} {
			var posts atomic.Int32
			address := listen(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if req.Method == "POST" {
						posts.Add(1)
						return // closes without an answer
					}
					_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			})
			tr := transport(t, Options{})
			warm, err := tr.RoundTrip(request(t, "GET", "http://"+address, ""))
			if err != nil {
				t.Fatal(err)
			}
			_ = warm.Body.Close()
			req := request(t, "POST", "http://"+address, body)
			if key != "" {
				req.Header.Set(key, "1")
			}
			e := mustFail(t, tr, req)
			if n := posts.Load(); n != 1 || e.Outcome != proto.OutcomeUnknown || e.Reason != proto.ReasonReset || !e.Timing.Reused {
				t.Errorf("key %q, body %q: sent %d times, %s/%s, timing %+v", key, body, n, e.Reason, e.Outcome, e.Timing)
			}
		}
	}
}

func TestExpectContinueWaitsForTheTarget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized) // without reading the body
	}))
	defer server.Close()
	r, w := io.Pipe()
	defer w.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "PUT", server.URL, r)
	req.Header.Set("Expect", "100-continue")
	resp, err := transport(t, Options{}).RoundTrip(req) // would hang if it read the body
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestHTTP2IsSpokenWhereTheTargetCan(t *testing.T) {
	ca := newAuthority(t, "Plant 2 Root")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}
	server.StartTLS()
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	tr := transport(t, Options{RootCAs: ca.pool()})
	var timings []proto.Timing
	for range 2 {
		resp, err := tr.RoundTrip(request(t, "POST", "https://localhost:"+port, "x"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		timing, _ := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
		timings = append(timings, timing)
		if string(body) != "HTTP/2.0" {
			t.Errorf("spoke %s", body)
		}
	}
	if timings[0].TLS <= 0 || timings[0].DNS < 0 || !timings[1].Reused || timings[1].TLS != 0 || timings[1].Address == "" {
		t.Errorf("timings %+v", timings)
	}
}

func TestTimeoutLeavesAQuickAnswerAlone(t *testing.T) {
	headerSeen := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-headerSeen
		_, _ = io.WriteString(w, "late")
	}))
	defer server.Close()
	req := request(t, "GET", server.URL, "")
	req.Header.Set(proto.HeaderTimeout, "30000")
	resp, err := transport(t, Options{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(headerSeen)
	if body, err := io.ReadAll(resp.Body); string(body) != "late" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
}
