package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
)

func TestBodiesStreamBothWays(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/echo", func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		w.WriteHeader(200)
		_ = c.Flush()
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = c.Flush()
			if err != nil {
				return
			}
		}
	})
	up, feed := io.Pipe()
	resp := s.do(t, "POST", "/echo", up)
	down := bufio.NewReader(resp.Body)
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		if _, err := io.WriteString(feed, line); err != nil {
			t.Fatal(err)
		}
		if got, err := down.ReadString('\n'); err != nil || got != line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	feed.Close()
	if _, err := down.ReadByte(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestAnAnswerThatBreaksOffBreaksOffForTheCaller(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/known", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 100000))
		panic(http.ErrAbortHandler)
	})
	s.mux.HandleFunc("/base/chunked", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, 100000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/known", "/chunked"} {
		resp := s.do(t, "GET", path, nil)
		if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: read %d bytes and %v", path, n, err)
		}
	}
}

// What has come of an answer is not withheld until the rest follows, whether or
// not its length is known.
func TestPiecesOfAnAnswerOfKnownLengthAreNotHeldBack(t *testing.T) {
	s := newSite(t, nil)
	rest := make(chan struct{})
	s.mux.HandleFunc("/base/piecemeal", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "8")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-rest:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "rest")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", s.relay.URL+prefix+"/piecemeal", nil)
	resp, err := s.relay.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	half := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, half); err != nil || string(half) != "half" {
		t.Fatalf("first %q, %v", half, err)
	}
	close(rest)
	if got := text(t, resp); got != "rest" {
		t.Errorf("then %q", got)
	}
}

// Of an answer that breaks off before anything went to the caller he is told in
// words, and what became of the request.
func TestAnAnswerThatBreaksOffBeforeItsBodyIsAFailureWithAnOutcome(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/promised", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("X-App", "yes")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp := s.do(t, "POST", "/promised", strings.NewReader("{}"))
	var got problem
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadGateway || got.Code != proto.CodeTargetUnreachable || got.Outcome != proto.OutcomeSent ||
		resp.Header.Get(proto.HeaderError) != string(got.Code) || resp.Header.Get("X-App") != "" {
		t.Errorf("%s %v %+v", resp.Status, resp.Header, got)
	}
	if s.reached.Load() != 1 {
		t.Errorf("the application was asked %d times", s.reached.Load())
	}
}

func TestAnAnswerWithoutAMediaTypeIsGivenNone(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/untyped", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	})
	if resp := s.do(t, "GET", "/untyped", nil); resp.Header["Content-Type"] != nil {
		t.Errorf("Content-Type %q", resp.Header["Content-Type"])
	}
}

func TestACallerWhoLeavesCancelsTheRequest(t *testing.T) {
	s := newSite(t, nil)
	began, ended := make(chan struct{}), make(chan struct{})
	s.mux.HandleFunc("/base/wait", func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s/wait HTTP/1.1\r\nHost: relay\r\n\r\n", prefix)
	<-began
	conn.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the application was not told")
	}
}

func TestTrailersAndEmptyAnswersPass(t *testing.T) {
	s := newSite(t, nil)
	var sum string
	s.mux.HandleFunc("/base/trailer", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sum = r.Trailer.Get("X-Sum")
		_, _ = io.WriteString(w, "body")
		_ = http.NewResponseController(w).Flush() // net/http adds trailers to chunked answers alone
		w.Header().Set(http.TrailerPrefix+"X-Answer", "42")
	})
	s.mux.HandleFunc("/base/none", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	s.mux.HandleFunc("HEAD /base/head", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1234") })

	req, _ := http.NewRequest("POST", s.relay.URL+prefix+"/trailer", io.MultiReader(strings.NewReader("x")))
	req.Trailer = http.Header{"X-Sum": {"7"}}
	resp, err := s.relay.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text(t, resp) != "body" || resp.Trailer.Get("X-Answer") != "42" || sum != "7" {
		t.Errorf("trailers: to the application %q, to the caller %v", sum, resp.Trailer)
	}
	if resp := s.do(t, "DELETE", "/none", nil); resp.StatusCode != 204 || text(t, resp) != "" {
		t.Error(resp.Status)
	}
	if resp := s.do(t, "HEAD", "/head", nil); resp.StatusCode != 200 || resp.ContentLength != 1234 {
		t.Error(resp.Status, resp.ContentLength)
	}
}

// An application may answer before it has read the request; the caller may
// still hold back the rest of it.
func TestAnEarlyAnswerArrivesWhileTheCallerStillSends(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("/base/early", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
		_, _ = io.WriteString(w, "too large")
	})
	s.do(t, "GET", "/", nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "POST %s/early HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", prefix)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, resp); resp.StatusCode != 413 || got != "too large" || !resp.Close {
		t.Errorf("%s %q, close %v", resp.Status, got, resp.Close)
	}
}
