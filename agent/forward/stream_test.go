package forward

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestCancellationReachesTheTarget(t *testing.T) {
	for name, wire := range map[string]string{
		"before the answer":         "GET %/wait HTTP/1.1\r\nHost: x\r\n\r\n",
		"with a small body":         "POST %/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
		"in the answer":             "GET %/stream HTTP/1.1\r\nHost: x\r\n\r\n",
		"in the middle of a upload": "PUT %/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			reached, cancelled := make(chan struct{}, 2), make(chan struct{}, 2)
			url := target(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					_, _ = io.WriteString(w, "first")
					w.(http.Flusher).Flush()
				}
				reached <- struct{}{}
				if r.URL.Path == "/upload" {
					_, _ = io.Copy(io.Discard, r.Body)
				} else {
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				}
				cancelled <- struct{}{}
			})
			overEach(t, func(t *testing.T, relay net.Conn) {
				go func() { _, _ = io.WriteString(relay, strings.ReplaceAll(wire, "%", url)) }()
				drained := make(chan struct{})
				go func() { defer close(drained); _, _ = io.Copy(io.Discard, relay) }()
				<-reached
				_ = relay.Close()
				select {
				case <-cancelled:
				case <-time.After(10 * time.Second):
					t.Error("the target was not told")
				}
				_ = relay.SetReadDeadline(past)
				<-drained
			})
		})
	}
}

func TestEndOfTheTunnelEndsTheRequest(t *testing.T) {
	reached := make(chan struct{})
	url := target(t, func(w http.ResponseWriter, r *http.Request) { close(reached); <-r.Context().Done() })
	relay, agent := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	f := forwarder(t, nil)
	go func() { defer close(done); f.Serve(ctx, agent) }()
	go func() { _, _ = io.WriteString(relay, "GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n") }()
	<-reached
	cancel()
	<-done
	_ = relay.Close()
}

// The target answers each line before it is sent the next: neither body can
// have been gathered first.
func TestBodiesStreamBothWaysAtOnce(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, "echo "+lines.Text()+"\n")
			w.(http.Flusher).Flush()
		}
	})
	overEach(t, func(t *testing.T, relay net.Conn) {
		resp, _, _ := ask(t, relay, "POST "+url+"/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		answers := bufio.NewReader(resp.Body)
		for _, word := range []string{"one", "two", "six"} {
			if _, err := io.WriteString(relay, "4\r\n"+word+"\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := answers.ReadString('\n'); line != "echo "+word+"\n" || err != nil {
				t.Fatalf("answer %q, %v", line, err)
			}
		}
		if _, err := io.WriteString(relay, "0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(answers); len(rest) != 0 || err != nil {
			t.Errorf("rest %q, %v", rest, err)
		}
	})
}

func TestEventsAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for range next {
			_, _ = io.WriteString(w, "data: tick\n\n")
			w.(http.Flusher).Flush()
		}
	})
	relay, agent := net.Pipe()
	done := make(chan struct{})
	f := forwarder(t, nil)
	go func() { defer close(done); f.Serve(t.Context(), agent) }()
	resp, _, _ := ask(t, relay, lastOne("GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n")) // before any event
	events := bufio.NewReader(resp.Body)
	for range 3 {
		next <- struct{}{}
		if line, err := events.ReadString('\n'); line != "data: tick\n" || err != nil {
			t.Fatalf("event %q, %v", line, err)
		}
		_, _ = events.ReadString('\n')
	}
	close(next)
	if _, err := io.ReadAll(events); err != nil {
		t.Error(err)
	}
	<-done
	_ = relay.Close()
}

// 256 MiB pass each way, and the heap never holds more than a sliver of it.
func TestLargeBodiesAreNotGathered(t *testing.T) {
	const size = 256 << 20
	const most = 32 << 20
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n != size {
			t.Errorf("%d bytes arrived", n)
		}
		w.Header().Set("Content-Length", "268435456")
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	})
	relay, agent := net.Pipe()
	done := make(chan struct{})
	f := forwarder(t, nil)
	go func() { defer close(done); f.Serve(t.Context(), agent) }()
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	go func() {
		_, _ = io.WriteString(relay, lastOne("PUT "+url+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n"))
		_, _ = io.Copy(relay, io.LimitReader(zeros{}, size))
	}()
	resp, _ := readAnswer(t, bufio.NewReader(relay), "PUT")
	if _, err := io.CopyN(io.Discard, resp.Body, size/2); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > most {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size/2 || err != nil {
		t.Errorf("%d bytes more, %v", n, err)
	}
	<-done
	_ = relay.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A small answer is one write to the stream, header and body together: each
// write is a frame, a mask and a system call of the tunnel.
func TestSmallAnswerIsOneWrite(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"length": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") },
		"empty":  func(w http.ResponseWriter, r *http.Request) {},
	} {
		url := target(t, handle)
		f := forwarder(t, nil)
		fewest := 99
		for range 20 { // on a busy machine the target may seem to pause
			if fewest = min(fewest, writesOf(t, f, "GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n")); fewest == 1 {
				break
			}
		}
		if fewest != 1 {
			t.Errorf("%s: %d writes", name, fewest)
		}
	}
}

func writesOf(t *testing.T, f *Forwarder, wire string) int {
	t.Helper()
	relay, agent := net.Pipe()
	counted := &countedConn{Conn: agent}
	done := make(chan struct{})
	go func() { defer close(done); f.Serve(t.Context(), counted) }()
	resp, _, _ := ask(t, relay, lastOne(wire))
	_, _ = io.Copy(io.Discard, resp.Body)
	<-done
	_ = relay.Close()
	return counted.writes
}

type countedConn struct {
	net.Conn
	writes int
}

func (c *countedConn) Write(p []byte) (int, error) { c.writes++; return c.Conn.Write(p) }
