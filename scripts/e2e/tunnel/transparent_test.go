package tunnel

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/gateway"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// byPeer is the road to an agent whose tunnels another relay holds.
const byPeer = "on-premise by way of another relay"

// roads are the ways to an application: straight to it, and through a relay's
// gateway in either mode, the agent being connected to it or to another one.
func roads(t *testing.T, app string, requests connection.Requests) map[string]string {
	t.Helper()
	r, other := newPair(t)
	r.enrolled()
	r.awaitMet(other)
	cloud := outbound.New(outbound.Options{})
	t.Cleanup(cloud.Close)
	keeper := session.NewKeeper(session.Options{NewID: func() string { return "ses_1" }})
	t.Cleanup(keeper.Close)
	urls := map[string]string{"direct": app}
	for _, name := range []string{string(connection.Cloud), string(connection.OnPremise), byPeer} {
		mode, hub := connection.Mode(name), r.hub
		if name == byPeer {
			mode, hub = connection.OnPremise, other.hub
		}
		g := gateway.New(gateway.Options{Roads: road.New(cloud, hub), Sessions: keeper})
		c := &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Spec{
			Name: "App", Mode: mode, AgentID: "agt_1", BaseURI: app, MediaType: connection.JSON, Auth: connection.Auth{Type: connection.AuthNone}, Requests: requests,
		}}
		door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			g.Serve(w, req, c, gateway.Caller{Kind: "token", ID: "tok_1", Name: "test"}, req.URL.EscapedPath(), req.URL.RawQuery, "req-1")
		}))
		t.Cleanup(door.Close)
		urls[name] = door.URL
	}
	return urls
}

// talk is what both ends of a request got to see.
type talk struct {
	Method, URI   string
	Request       http.Header
	Sent          string // the request's body, or its sum where it is long
	SentLength    int64
	SentTrailer   http.Header
	Informational []string
	Status        string
	Answer        http.Header
	Length        int64
	Body          string
	Trailer       http.Header
}

// ofTheHop is what one connection says to another, or the relay adds to what it
// passes on.
var ofTheHop = []string{"Date", "Connection", "Server-Timing", "Content-Security-Policy", "Keep-Alive", proto.HeaderOutcome}

func without(h http.Header, names ...string) http.Header {
	h = h.Clone()
	for _, name := range names {
		h.Del(name)
	}
	if len(h) == 0 {
		return nil
	}
	return h
}

// TestRequestsAndAnswersPassAsTheyAre compares what application and caller see
// on both roads with what they see without any.
func TestRequestsAndAnswersPassAsTheyAre(t *testing.T) {
	file := bytes.Repeat([]byte("0123456789"), 1000)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(file)
	_ = zip.Close()
	modified := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var seen talk
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		seen = talk{Method: r.Method, URI: r.RequestURI, Request: without(r.Header, "Connection"), Sent: string(body), SentLength: r.ContentLength, SentTrailer: without(r.Trailer)}
		h := w.Header()
		switch r.URL.Path {
		case "/file":
			h.Set("Etag", `"v1"`)
			http.ServeContent(w, r, "file.bin", modified, bytes.NewReader(file))
		case "/zipped":
			h.Set("Content-Encoding", "gzip")
			h.Set("Vary", "Accept-Encoding")
			h.Set("Content-Length", fmt.Sprint(zipped.Len()))
			_, _ = w.Write(zipped.Bytes())
		case "/odd-encoding":
			h.Set("Content-Encoding", "br, x-custom")
			_, _ = w.Write([]byte{0, 255, 10, 13})
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/reset":
			w.WriteHeader(http.StatusResetContent)
		case "/chunked":
			for range 3 {
				_, _ = w.Write(file[:1000])
				_ = http.NewResponseController(w).Flush()
			}
		case "/trailers":
			h.Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			h.Set("X-Sum", "42")
			h.Set(http.TrailerPrefix+"X-Late", "unannounced")
		case "/hints":
			h.Add("Link", "</style.css>; rel=preload; as=style")
			h.Add("Link", "</script.js>; rel=preload; as=script")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			h.Set("X-Final", "1")
			_, _ = io.WriteString(w, "after hints")
		case "/many":
			h["Warning"] = []string{`199 - "one"`, `199 - "two"`}
			h["X-Empty"] = []string{""}
			h["X-Latin"] = []string{"caf\xe9"}
			h.Set("Www-Authenticate", `Negotiate`)
			w.WriteHeader(299)
		case "/untyped":
			h["Content-Type"] = nil
			_, _ = io.WriteString(w, "<html>")
		default:
			_, _ = w.Write(body)
		}
	})
	urls := roads(t, app.URL, connection.Requests{})
	client := &http.Transport{DisableCompression: true}
	t.Cleanup(client.CloseIdleConnections)
	exchange := func(t *testing.T, base, method, path, body string, fields []string, trailer bool) talk {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var informational []string
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			informational = append(informational, fmt.Sprint(code, " ", h["Link"]))
			return nil
		}})
		var from io.Reader
		if body != "" {
			from = strings.NewReader(body)
		}
		if trailer {
			from = io.MultiReader(from)
		}
		req, err := http.NewRequestWithContext(ctx, method, base+path, from)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"User-Agent": {"test"}, "Accept": {"*/*"}}
		for i := 0; i < len(fields); i += 2 {
			req.Header.Add(fields[i], fields[i+1])
		}
		if trailer {
			req.Trailer = http.Header{"X-Checksum": {"7"}, "X-Second": {"8"}}
		}
		seen = talk{}
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := seen
		got.Informational, got.Status, got.Answer = informational, resp.Status, without(resp.Header, ofTheHop...)
		got.Length, got.Body, got.Trailer = resp.ContentLength, string(raw), without(resp.Trailer)
		if base != app.URL && (resp.Header.Get("Server-Timing") == "" || resp.Header.Get(proto.HeaderError) != "") {
			t.Errorf("%s: header %v", base, resp.Header)
		}
		return got
	}
	for _, c := range []struct {
		name, method, path, body string
		fields                   []string
		trailer                  bool
	}{
		{name: "whole file", method: "GET", path: "/file"},
		{name: "range", method: "GET", path: "/file", fields: []string{"Range", "bytes=10-19"}},
		{name: "last part", method: "GET", path: "/file", fields: []string{"Range", "bytes=-2"}},
		{name: "range that can't be had", method: "GET", path: "/file", fields: []string{"Range", "bytes=99999-"}},
		{name: "If-Range that holds", method: "GET", path: "/file", fields: []string{"Range", "bytes=5-", "If-Range", `"v1"`}},
		{name: "If-Range that does not", method: "GET", path: "/file", fields: []string{"Range", "bytes=5-", "If-Range", `"v0"`}},
		{name: "not modified, by tag", method: "GET", path: "/file", fields: []string{"If-None-Match", `"v0", "v1"`}},
		{name: "not modified, by date", method: "GET", path: "/file", fields: []string{"If-Modified-Since", modified.Format(http.TimeFormat)}},
		{name: "precondition failed", method: "PUT", path: "/file", body: "x", fields: []string{"If-Match", `"v0"`, "Content-Type", "text/plain"}},
		{name: "head", method: "HEAD", path: "/file"},
		{name: "head of what is compressed", method: "HEAD", path: "/zipped", fields: []string{"Accept-Encoding", "gzip"}},
		{name: "compressed, as was asked for", method: "GET", path: "/zipped", fields: []string{"Accept-Encoding", "br;q=1.0, gzip;q=0.8, *;q=0.1"}},
		{name: "compressed, unasked", method: "GET", path: "/zipped"},
		{name: "compressed in a way that nobody knows", method: "GET", path: "/odd-encoding", fields: []string{"Accept-Encoding", ""}},
		{name: "compressed body", method: "POST", path: "/echo", body: zipped.String(), fields: []string{"Content-Encoding", "gzip", "Content-Type", "text/csv"}},
		{name: "no content", method: "DELETE", path: "/empty"},
		{name: "reset content", method: "POST", path: "/reset", body: "x", fields: []string{"Content-Type", "text/plain"}},
		{name: "of unknown length", method: "GET", path: "/chunked"},
		{name: "trailers of the answer", method: "GET", path: "/trailers"},
		{name: "trailers of the request", method: "POST", path: "/echo", body: "body", fields: []string{"Content-Type", "text/plain"}, trailer: true},
		{name: "hints before the answer", method: "GET", path: "/hints"},
		{name: "hints before the answer to a post", method: "POST", path: "/hints", body: "x", fields: []string{"Content-Type", "text/plain"}},
		{name: "fields that come twice, or are odd", method: "GET", path: "/many", fields: []string{"X-Twice", "1", "X-Twice", "2"}},
		{name: "no media type", method: "GET", path: "/untyped"},
		{name: "post without a body", method: "POST", path: "/echo?a=%2F&&b"},
		{name: "another method", method: "PROPFIND", path: "/a%2Fb//c;d=1", body: "<x/>", fields: []string{"Content-Type", "application/xml", "Depth", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := exchange(t, urls["direct"], c.method, c.path, c.body, c.fields, c.trailer)
			for _, mode := range slices.Sorted(maps.Keys(urls)) {
				got := exchange(t, urls[mode], c.method, c.path, c.body, c.fields, c.trailer)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (- direct):\n%s", mode, diff)
				}
			}
		})
	}
}

// TestEventsArriveAsTheyAreSent: each before the next one is made.
func TestEventsArriveAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	// The time-outs that suit a stream do not end it while it moves.
	for mode, base := range roads(t, app.URL, connection.Requests{Timeouts: connection.Timeouts{ConnectMs: 10_000, FirstByteMs: 30_000, IdleMs: 60_000}}) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		req, err := http.NewRequestWithContext(ctx, "GET", base+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Errorf("%s: %q, %v", mode, line, err)
			}
			_, _ = lines.ReadString('\n')
			next <- struct{}{}
		}
		resp.Body.Close()
		cancel()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestLongBodiesPassInConstantMemory, both ways, with all that the gateway can
// do with a request switched on. Through an agent they do so as well, as the
// programs themselves are watched for (TestBodiesStreamBothWays of e2e).
func TestLongBodiesPassInConstantMemory(t *testing.T) {
	const size = 320 << 20
	const most = 64 << 20 // windows, buffers and garbage of four parties
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = io.CopyN(w, zeros{}, size)
			return
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
	})
	all := connection.Requests{
		Timeouts: connection.Timeouts{ConnectMs: 10_000, FirstByteMs: 60_000, IdleMs: 60_000, TotalMs: 600_000},
		Retry:    connection.Retry{Attempts: 3}, Limits: connection.Limits{Concurrent: 2, PerSecond: 100},
	}
	urls := roads(t, app.URL, all)
	sum := sha256.New()
	_, _ = io.CopyN(sum, zeros{}, size)
	want := fmt.Sprintf("%d %x <nil>", size, sum.Sum(nil))
	grown := watchHeap(t)
	resp, err := http.DefaultTransport.RoundTrip(mustRequest(t, "GET", urls["cloud"], nil))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil || resp.ContentLength != size {
		t.Errorf("%d bytes came down, %v", n, err)
	}
	resp.Body.Close()
	resp, err = http.DefaultTransport.RoundTrip(mustRequest(t, "PUT", urls["cloud"], io.LimitReader(zeros{}, size)))
	if got := mustRead(t, resp, err); got != want {
		t.Errorf("%s went up", got)
	}
	heap := grown()
	t.Logf("the heap grew by %d MiB", heap>>20)
	if heap > most {
		t.Errorf("the heap grew by %d MiB", heap>>20)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func mustRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// watchHeap looks at the heap until it is asked by how much it has grown at most.
func watchHeap(t *testing.T) (grown func() uint64) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, m.HeapInuse
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return most - before
	}
}
