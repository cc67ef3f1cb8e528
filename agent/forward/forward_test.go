package forward

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"

	"sallyport/internal/logging"
	"sallyport/proto"
)

func TestRequestAndAnswerPassAsTheyAre(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name := range r.Header {
			if strings.HasPrefix(name, "Sallyport-") || name == "X-Hop" || name == "Te" {
				t.Errorf("%s reached the target", name)
			}
		}
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		w.Header().Set("Connection", "X-Secret-Hop")
		w.Header().Set("X-Secret-Hop", "1")
		w.Header().Set("Sallyport-Error", "forged")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), body, r.Host)
	})
	host := strings.TrimPrefix(url, "http://")
	overEach(t, func(t *testing.T, relay net.Conn) {
		resp, early, _ := ask(t, relay, "PUT "+url+"/a%2Fb?q=1 HTTP/1.1\r\nHost: "+host+"\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n"+
			"Sallyport-Request-Id: req_1\r\nSallyport-Timeout: 5000\r\nContent-Length: 5\r\n\r\nhello")
		body, err := io.ReadAll(resp.Body)
		want := "PUT /a%2Fb?q=1 hello " + host
		if err != nil || string(body) != want || resp.StatusCode != http.StatusTeapot || resp.ContentLength != int64(len(want)) {
			t.Errorf("status %d, length %d, body %q, want %q; %v", resp.StatusCode, resp.ContentLength, body, want, err)
		}
		if len(early) != 0 {
			t.Errorf("an idempotent request was answered with %d informational responses", len(early))
		}
		if got := resp.Header.Values("X-Two"); len(got) != 2 || resp.Header.Get("X-Secret-Hop") != "" || resp.Header.Get(proto.HeaderError) != "" {
			t.Errorf("header %v", resp.Header)
		}
		if timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming)); err != nil || timing.Wait <= 0 {
			t.Errorf("timing %+v, %v", timing, err)
		}
	})
}

func TestOnlyWhatIsNotIdempotentIsAnnounced(t *testing.T) {
	url := target(t, func(http.ResponseWriter, *http.Request) {})
	for method, want := range map[string]int{"POST": 1, "PATCH": 1, "GET": 0, "PUT": 0, "DELETE": 0} {
		relay, agent := net.Pipe()
		f := forwarder(t, nil)
		done := make(chan struct{})
		go func() { defer close(done); f.Serve(t.Context(), agent) }()
		resp, early, _ := ask(t, relay, method+" "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp.StatusCode != 200 || len(early) != want {
			t.Errorf("%s: status %d after %d informational responses, want %d", method, resp.StatusCode, len(early), want)
		}
		for _, e := range early {
			if e.StatusCode != 102 || e.Header.Get(proto.HeaderStarted) == "" {
				t.Errorf("%s: informational response %d %v", method, e.StatusCode, e.Header)
			}
		}
		_ = relay.Close()
		<-done
	}
}

func TestNothingIsAnnouncedThatWasNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	overEach(t, func(t *testing.T, relay net.Conn) {
		resp, early, _ := ask(t, relay, "POST http://"+l.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
		e := problem(t, resp)
		if len(early) != 0 || e.Code != proto.CodeTargetRefused || e.Outcome != proto.OutcomeNotSent || e.Reason != proto.ReasonRefused || e.Facts["address"] != l.Addr().String() || e.Timing == nil {
			t.Errorf("%d announced, %+v", len(early), e)
		}
	})
}

func TestAnswersWithoutABody(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"1"`)
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "42")
		}
	})
	f := forwarder(t, nil)
	for request, length := range map[string]string{"HEAD /head": "42", "GET /204": "", "GET /304": ""} {
		method, path, _ := strings.Cut(request, " ")
		out := serveOne(t, f, method+" "+url+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		header, body, ok := strings.Cut(out, "\r\n\r\n")
		if !ok || body != "" || strings.Contains(header, "Transfer-Encoding") {
			t.Errorf("%s: %q", request, out)
		}
		if got := strings.Contains(header, "Content-Length: "+length); length != "" && !got || length == "" && strings.Contains(header, "Content-Length") {
			t.Errorf("%s: content length in %q, want %q", request, header, length)
		}
	}
}

func TestTruncatedAnswersAreToldFromWholeOnes(t *testing.T) {
	for name, c := range map[string]struct {
		framing string
		whole   bool
	}{
		"length, whole":    {"Content-Length: 4\r\n\r\nbody", true},
		"length, cut":      {"Content-Length: 40\r\n\r\nbody", false},
		"chunks, whole":    {"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true},
		"chunks, cut":      {"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", false},
		"until the close":  {"\r\nbody", true},
		"cut within chunk": {"Transfer-Encoding: chunked\r\n\r\n40\r\nbody", false},
	} {
		t.Run(name, func(t *testing.T) {
			url := target(t, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+c.framing)
				_ = conn.Close()
			})
			overEach(t, func(t *testing.T, relay net.Conn) {
				resp, _, _ := ask(t, relay, "GET "+url+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				body, err := io.ReadAll(resp.Body)
				if string(body) != "body" || c.whole != (err == nil) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("body %q, error %v, want whole: %v", body, err, c.whole)
				}
			})
		})
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "data")
		w.Header().Set("X-Sum", "echo "+r.Trailer.Get("X-Sent"))
	})
	overEach(t, func(t *testing.T, relay net.Conn) {
		resp, _, _ := ask(t, relay, "POST "+url+"/ HTTP/1.1\r\nHost: x\r\nTrailer: X-Sent\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sent: 7\r\n\r\n")
		body, err := io.ReadAll(resp.Body)
		if string(body) != "data" || err != nil || resp.Trailer.Get("X-Sum") != "echo 7" {
			t.Errorf("body %q, %v, trailer %v", body, err, resp.Trailer)
		}
	})
}

func TestFaultyRequestsAreAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		code proto.Code
	}{
		"origin form":      {"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", proto.CodeValidation},
		"connect":          {"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", proto.CodeValidation},
		"another scheme":   {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", proto.CodeValidation},
		"not HTTP":         {"hello\r\n\r\n", proto.CodeValidation},
		"header too large": {"GET http://x/ HTTP/1.1\r\nX-A: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", proto.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, relay net.Conn) {
				resp, _, _ := ask(t, relay, c.wire)
				if e := problem(t, resp); e.Code != c.code || e.Outcome != proto.OutcomeNotSent {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("secret text") }

func TestPanicIsContained(t *testing.T) {
	var log bytes.Buffer
	logger, _, err := logging.New(logging.Options{Output: &log})
	if err != nil {
		t.Fatal(err)
	}
	out := serveOne(t, New(Options{Transport: panicking{}, Log: logger}), "GET http://x/ HTTP/1.1\r\nHost: x\r\nSallyport-Request-Id: req_9\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 500 ") || !strings.Contains(out, "Sallyport-Error: internal\r\n") {
		t.Errorf("answer %q", out)
	}
	if got := log.String(); !strings.Contains(got, "req_9") || strings.Contains(got, "secret text") {
		t.Errorf("log %q", got)
	}
}

func TestLogsHoldNoSecrets(t *testing.T) {
	var log bytes.Buffer
	logger, _, err := logging.New(logging.Options{Level: "debug", Output: &log})
	if err != nil {
		t.Fatal(err)
	}
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "SID=hush-cookie")
		_, _ = io.WriteString(w, "hush-answer")
	})
	bad := target(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nSet-Cookie hush-cookie\r\n\r\n")
		_ = conn.Close()
	})
	cut := target(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhush-answer")
		_ = conn.Close()
	})
	f := forwarder(t, zap.New(logger.Core()))
	header := " HTTP/1.1\r\nHost: x\r\nSallyport-Request-Id: req_7\r\nSallyport-Connection: con_7\r\nAuthorization: Bearer hush-token\r\nCookie: SID=hush-cookie\r\nContent-Length: 9\r\n\r\nhush-body"
	for _, base := range []string{url, bad, cut, "http://127.0.0.1:1"} {
		_ = serveOne(t, f, "POST "+base+"/path?password=hush-query"+header)
	}
	_ = serveOne(t, f, "GET hush-garbage HTTP/1.1\r\n\r\n")
	got := log.String()
	for _, line := range []string{`"msg":"request served"`, `"msg":"request failed"`, `"msg":"answer broke off"`} {
		if !strings.Contains(got, line) {
			t.Errorf("no line with %s", line)
		}
	}
	if !strings.Contains(got, `"request_id":"req_7","connection":"con_7","method":"POST"`) || !strings.Contains(got, `"path":"/path"`) {
		t.Errorf("the request can't be found in\n%s", got)
	}
	if strings.Contains(got, "hush") {
		t.Errorf("a secret is in the log:\n%s", got)
	}
}
