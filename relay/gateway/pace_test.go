package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// rawly sends bytes of a request through the proxy, with nothing between.
func (s *site) rawly(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(conn, request)
	return conn, bufio.NewReader(conn)
}

func TestACallerWhoStallsGivesHisTurnBack(t *testing.T) {
	for name, request := range map[string]string{
		"by its length": "Content-Length: 100000\r\n\r\nx",
		"in chunks":     "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"when asked":    "Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.mux.HandleFunc("/base/up", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
			s.do(t, "GET", "/up", nil) // signs in
			s.gateway.stallAfter = 100 * time.Millisecond
			s.c.Requests.Limits = connection.Limits{Concurrent: 1}
			_, answer := s.rawly(t, "POST "+prefix+"/up HTTP/1.1\r\nHost: relay\r\n"+request)
			resp, err := http.ReadResponse(answer, nil)
			if err == nil && resp.StatusCode == http.StatusContinue {
				resp, err = http.ReadResponse(answer, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := problemOf(t, resp)
			if resp.StatusCode != http.StatusRequestTimeout || !resp.Close || p.Code != proto.CodeRequestTimeout || p.Outcome != proto.OutcomeUnknown || p.Hint == "" {
				t.Errorf("%s, close %v, %+v", resp.Status, resp.Close, p)
			}
			if _, err := answer.ReadByte(); err != io.EOF {
				t.Errorf("the connection stays: %v", err)
			}
			if resp := s.do(t, "POST", "/up", strings.NewReader("{}")); resp.StatusCode != http.StatusOK {
				t.Errorf("the next: %s", resp.Status)
			}
		})
	}
}

func TestACallerWhoStallsGivesHisTurnBackWithHTTP2(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/up", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	s.do(t, "GET", "/up", nil) // signs in
	s.gateway.stallAfter = 100 * time.Millisecond
	s.c.Requests.Limits = connection.Limits{Concurrent: 1}
	relay := httptest.NewUnstartedServer(s.relay.Config.Handler)
	relay.EnableHTTP2 = true
	relay.StartTLS()
	defer relay.Close()
	post := func(body io.Reader) *http.Response {
		t.Helper()
		resp, err := relay.Client().Post(relay.URL+prefix+"/up", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	stalls, feed := io.Pipe()
	defer feed.Close()
	go func() { _, _ = feed.Write([]byte("x")) }()
	if resp := post(stalls); resp.ProtoMajor != 2 || resp.StatusCode != http.StatusRequestTimeout || problemOf(t, resp).Code != proto.CodeRequestTimeout {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
	if resp := post(strings.NewReader("{}")); resp.StatusCode != http.StatusOK {
		t.Errorf("the next, on the same connection: %s", resp.Status)
	}
}

// TestTheDeadlineOfABodyEndsNoLaterRequest: net/http would cancel every later
// request of the connection.
func TestTheDeadlineOfABodyEndsNoLaterRequest(t *testing.T) {
	s := newSite(t, nil)
	s.gateway.stallAfter = 300 * time.Millisecond
	s.c.Requests.Limits = connection.Limits{Concurrent: 1}
	s.mux.HandleFunc("/base/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(s.gateway.stallAfter + 100*time.Millisecond): // a deadline that stayed would come now
		case <-r.Context().Done():
		}
	})
	conn, answer := s.rawly(t, "")
	for range 2 {
		fmt.Fprintf(conn, "POST %s/slow HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}", prefix)
		resp, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text := text(t, resp); resp.StatusCode != http.StatusOK || resp.Close {
			t.Fatalf("%s, close %v: %s", resp.Status, resp.Close, text)
		}
	}
}

// TestABodyMayPauseOnceItIsAnswered: requests and answers may stream at once.
func TestABodyMayPauseOnceItIsAnswered(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/talk", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	})
	s.do(t, "GET", "/talk", nil) // signs in
	s.gateway.stallAfter = 200 * time.Millisecond
	s.c.Requests.Limits = connection.Limits{Concurrent: 1}
	conn, answer := s.rawly(t, "POST "+prefix+"/talk HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\na")
	resp, err := http.ReadResponse(answer, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	time.AfterFunc(s.gateway.stallAfter+200*time.Millisecond, func() { fmt.Fprint(conn, "b") })
	if got := text(t, resp); got != "ab" {
		t.Errorf("got %q", got)
	}
}
