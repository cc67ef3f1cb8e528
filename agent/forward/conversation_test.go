package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
)

func TestRequestsFollowOneAnotherOnAStream(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	})
	overEach(t, func(t *testing.T, relay net.Conn) {
		in := bufio.NewReader(relay)
		for i := range 5 {
			for wire, want := range map[string]string{
				"GET %s/%d HTTP/1.1\r\nHost: x\r\n\r\n":                                                  "GET /%d ",
				"POST %s/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi":                          "POST /%d hi",
				"PUT %s/%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n": "PUT /%d a",
				"GET http://127.0.0.1:1/?%.0s%d HTTP/1.1\r\nHost: x\r\n\r\n":                             "", // a fault of the target is none of the stream's
			} {
				wire = fmt.Sprintf(wire, url, i)
				method, _, _ := strings.Cut(wire, " ")
				go func() { _, _ = io.WriteString(relay, wire) }()
				resp, _ := readAnswer(t, in, method)
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.Header.Get("Connection") != proto.KeepStream || want != "" && string(body) != fmt.Sprintf(want, i) {
					t.Fatalf("%q: %q, header %v, %v", wire, body, resp.Header, err)
				}
			}
		}
	})
}

// The relay learns from the answer whether the stream is of more use.
func TestLastAnswerOffersNothing(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // otherwise the server waits for the body
	})
	for name, wire := range map[string]string{
		"asked for":        "GET " + url + "/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"left unread":      "PUT " + url + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nno more than this",
		"not to be served": "GET /here HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, relay net.Conn) {
				resp, _, in := ask(t, relay, wire)
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Header.Get("Connection") != "" {
					t.Errorf("header %v, %v", resp.Header, err)
				}
				if _, err := in.ReadByte(); err != io.EOF {
					t.Errorf("after the last answer came %v, want the end", err)
				}
			})
		})
	}
}

// What broke off can't be followed by anything: the relay would take it for
// the rest.
func TestStreamEndsWithAnAnswerThatBrokeOff(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
	})
	overEach(t, func(t *testing.T, relay net.Conn) {
		resp, _, _ := ask(t, relay, "GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
		if got, err := io.ReadAll(resp.Body); string(got) != "half" || err != io.ErrUnexpectedEOF {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// busyConn counts as a tunnel's stream does.
type busyConn struct {
	net.Conn
	begun, now atomic.Int64
}

func (b *busyConn) Busy(delta int) {
	b.now.Add(int64(delta))
	if delta > 0 {
		b.begun.Add(1)
	}
}

func TestStreamIsBusyWhileARequestIsUnderWay(t *testing.T) {
	relay, agent := net.Pipe()
	stream := &busyConn{Conn: agent}
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		if stream.now.Load() != 1 {
			t.Error("the stream is not busy")
		}
	})
	f := forwarder(t, nil)
	done := make(chan struct{})
	go func() { defer close(done); f.Serve(t.Context(), stream) }()
	in := bufio.NewReader(relay)
	for range 3 {
		go func() { _, _ = io.WriteString(relay, "GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n") }()
		if resp, _ := readAnswer(t, in, "GET"); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	}
	_ = relay.Close()
	<-done
	if stream.begun.Load() != 3 || stream.now.Load() != 0 {
		t.Errorf("%d begun, %d under way", stream.begun.Load(), stream.now.Load())
	}
}

// TestReaderThatWasWokenStaysSo: the time that a header may take does not undo
// the end of the stream's context, which came just before.
func TestReaderThatWasWokenStaysSo(t *testing.T) {
	relay, agent := net.Pipe()
	defer relay.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h := headLimit{stream: agent, ctx: ctx, left: -1}
	h.header()
	cancel()
	_ = agent.SetDeadline(past) // as interrupt does
	over := time.AfterFunc(10*time.Second, func() { _ = agent.Close() })
	defer over.Stop()
	if _, err := h.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
