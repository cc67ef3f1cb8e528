package forward

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is a real application.
func target(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func forwarder(t *testing.T, log *zap.Logger) *Forwarder {
	t.Helper()
	tr := outbound.New(outbound.Options{Log: log})
	t.Cleanup(tr.Close)
	return New(Options{Transport: tr, Log: log})
}

// pipes are the kinds of stream that a request may come down.
var pipes = map[string]func(t *testing.T) (relay, agent net.Conn){
	"pipe": func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() },
	"yamux": func(t *testing.T) (net.Conn, net.Conn) {
		t.Helper()
		config := yamux.DefaultConfig()
		config.LogOutput = io.Discard
		a, b := net.Pipe()
		server, err := yamux.Server(a, config)
		if err != nil {
			t.Fatal(err)
		}
		client, err := yamux.Client(b, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close(); _ = client.Close() })
		relay, err := server.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		agent, err := client.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		return relay, agent
	},
}

// overEach runs a test once for each kind of stream, with a forwarder serving
// the far end. The test fails if serving does not end with the stream.
func overEach(t *testing.T, test func(t *testing.T, relay net.Conn)) {
	for name, open := range pipes {
		t.Run(name, func(t *testing.T) {
			relay, agent := open(t)
			f := forwarder(t, nil)
			done := make(chan struct{})
			go func() { defer close(done); f.Serve(t.Context(), agent) }()
			defer func() {
				_ = relay.Close()
				<-done
				if n := f.InFlight(); n != 0 {
					t.Errorf("%d requests in flight after the last", n)
				}
			}()
			test(t, relay)
		})
	}
}

// ask writes a request as the relay does and reads the final answer's header;
// early are the informational answers before it.
func ask(t *testing.T, relay net.Conn, wire string) (resp *http.Response, early []*http.Response, in *bufio.Reader) {
	t.Helper()
	go func() { _, _ = io.WriteString(relay, wire) }()
	in = bufio.NewReader(relay)
	method, _, _ := strings.Cut(wire, " ")
	resp, early = readAnswer(t, in, method)
	return resp, early, in
}

func readAnswer(t *testing.T, in *bufio.Reader, method string) (resp *http.Response, early []*http.Response) {
	t.Helper()
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("read answer: %v", err)
		}
		if resp.StatusCode >= 200 {
			return resp, early
		}
		early = append(early, resp)
	}
}

func problem(t *testing.T, resp *http.Response) *proto.Error {
	t.Helper()
	var e proto.Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get(proto.HeaderError) != string(e.Code) || resp.StatusCode != e.Code.Status() || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, header %v, code %s do not agree", resp.StatusCode, resp.Header, e.Code)
	}
	return &e
}

// lastOne is a request after which the stream ends.
func lastOne(wire string) string {
	return strings.Replace(wire, "\r\n", "\r\nConnection: close\r\n", 1)
}

// serveOne serves one request written as wire and returns everything that came
// back, as it stood on the stream.
func serveOne(t *testing.T, f *Forwarder, wire string) string {
	t.Helper()
	wire = lastOne(wire)
	relay, agent := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); f.Serve(context.Background(), agent) }()
	go func() { _, _ = io.WriteString(relay, wire) }()
	out, err := io.ReadAll(relay)
	if err != nil {
		t.Fatal(err)
	}
	_ = relay.Close()
	<-done
	return string(out)
}
