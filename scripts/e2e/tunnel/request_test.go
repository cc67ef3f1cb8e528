package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestRequestReachesTheApplicationAndBack(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			app := target(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.Header().Set("X-Seen", r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Company"))
				for name := range r.Header {
					if strings.HasPrefix(name, "Sallyport-") {
						t.Errorf("the application was sent %s", name)
					}
				}
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintf(w, "%s:%d", body, r.ContentLength)
			})
			r := newRelay(t, secure)
			r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
				if secure {
					o.Relay = &url.URL{Scheme: "https", Host: r.net.Addr()}
					o.Egress = trusting(r.t, r.server)
				}
			})
			r.awaitTunnels(2)
			req, _ := http.NewRequest("POST", app.URL+"/a%2Fb?q=1", strings.NewReader("hello"))
			req.Header.Set("X-Company", "ACME")
			req.Header.Set(proto.HeaderRequestID, "req_1")
			resp, err := r.hub.Road("agt_1").RoundTrip(req)
			if got := mustRead(t, resp, err); got != "hello:5" {
				t.Errorf("body: %q", got)
			}
			if resp.StatusCode != http.StatusCreated || resp.Header.Get("X-Seen") != "POST /a%2Fb?q=1 ACME" {
				t.Errorf("got %s, %q", resp.Status, resp.Header.Get("X-Seen"))
			}
			timing, err := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
			if err != nil || timing.Tunnel <= 0 || timing.Wait <= 0 || timing.Address == "" {
				t.Errorf("timing %+v, %v", timing, err)
			}
		})
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "1000")
			if r.Method != http.MethodHead {
				_, _ = w.Write(make([]byte, 1000))
			}
		}
	})
	r := newRelay(t, false)
	r.enrolled()
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/204", 204}, {"GET", "/304", 304}, {"HEAD", "/", 200}} {
		resp, err := r.send(t.Context(), c.method, app.URL+c.path, nil)
		if got := mustRead(t, resp, err); got != "" || resp.StatusCode != c.status {
			t.Errorf("%s %s: %d %q", c.method, c.path, resp.StatusCode, got)
		}
	}
	awaitIdle(t, r)
}

// awaitIdle waits until no request is under way at either end of any tunnel.
func awaitIdle(t *testing.T, r *relay) {
	t.Helper()
	testkit.Eventually(t, patience, "nothing is under way", func() error {
		for _, in := range r.hub.Instances("agt_1") {
			if in.InFlight > 0 {
				return fmt.Errorf("%d requests are", in.InFlight)
			}
		}
		return nil
	})
}

// TestBodiesStreamBothWays sends more than any window or buffer holds, and
// reads the echo while it is still sending.
func TestBodiesStreamBothWays(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = control.Flush()
		_, _ = io.Copy(w, r.Body)
	})
	r := newRelay(t, false)
	r.enrolled()
	const size = 24 << 20
	sent, received := sha256.New(), sha256.New()
	for _, length := range []int64{size, -1} {
		sent.Reset()
		received.Reset()
		body := io.TeeReader(io.LimitReader(rand.Reader, size), sent)
		req, _ := http.NewRequestWithContext(t.Context(), "POST", app.URL, io.NopCloser(body))
		req.ContentLength = length
		resp, err := r.hub.Road("agt_1").RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(received, resp.Body)
		if err != nil || n != size || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
			t.Fatalf("length %d: %d bytes came back, %v, equal: %v", length, n, err, bytes.Equal(sent.Sum(nil), received.Sum(nil)))
		}
	}
	awaitIdle(t, r)
}

// TestEachPieceArrivesBeforeTheNextIsSent proves that nothing is gathered: the
// application writes its next word only after it was sent the last one back.
func TestEachPieceArrivesBeforeTheNextIsSent(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		word := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, word); err != nil {
				return
			}
			_, _ = w.Write(bytes.ToUpper(word))
			_ = control.Flush()
		}
	})
	r := newRelay(t, false)
	r.enrolled()
	body, feed := io.Pipe()
	resp, err := r.send(t.Context(), "POST", app.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"first", "other", "third"} {
		if _, err := io.WriteString(feed, word); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	_ = feed.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestSlowReaderHoldsBackTheApplication: an answer that nobody reads must stop
// at the windows, and must not stop anybody else.
func TestSlowReaderHoldsBackTheApplication(t *testing.T) {
	const size = 256 << 20
	wrote := make(chan int64, 1)
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
			return
		}
		n, _ := io.Copy(w, io.LimitReader(zeros{}, size))
		wrote <- n
	})
	r := newRelay(t, false)
	r.enrolled()
	slow, err := r.send(t.Context(), "GET", app.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		resp, err := r.send(t.Context(), "GET", app.URL+"/small", nil)
		if got := mustRead(t, resp, err); got != "small" {
			t.Fatal(got)
		}
	}
	if _, err := io.CopyN(io.Discard, slow.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	_ = slow.Body.Close()
	select {
	case n := <-wrote:
		if n >= size {
			t.Errorf("all %d bytes were taken off the application", n)
		}
	case <-time.After(patience):
		t.Error("the application was not told that nobody reads")
	}
	awaitIdle(t, r)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestCancellationReachesTheApplication(t *testing.T) {
	app := newUnending(t)
	r := newRelay(t, false)
	r.enrolled()
	app.wantCancellations(t, r)
	awaitIdle(t, r)
}

// unending is an application that works for as long as its caller waits: for the
// header of its answer or, at /body, for the rest.
type unending struct {
	*httptest.Server
	reached, cancelled chan struct{}
}

func newUnending(t *testing.T) *unending {
	u := &unending{reached: make(chan struct{}, 1), cancelled: make(chan struct{}, 1)}
	u.Server = target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		u.reached <- struct{}{}
		<-r.Context().Done()
		u.cancelled <- struct{}{}
	})
	return u
}

// wantCancellations gives up requests that were sent by r, at either stage.
func (u *unending) wantCancellations(t *testing.T, r *relay) {
	t.Helper()
	for _, path := range []string{"/header", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-u.reached; cancel() }()
		resp, err := r.send(ctx, "GET", u.URL+path, nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			wantError(t, err, proto.CodeCanceled, proto.OutcomeSent)
		} else {
			wantError(t, err, proto.CodeCanceled, proto.OutcomeUnknown)
		}
		select {
		case <-u.cancelled:
		case <-time.After(patience):
			t.Fatalf("%s: the application still works on it", path)
		}
		cancel()
	}
}

func TestAgentsOwnErrorsComeBackTyped(t *testing.T) {
	broken := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
	})
	r := newRelay(t, false)
	r.enrolled()
	_, err := r.send(t.Context(), "POST", fmt.Sprintf("http://127.0.0.1:%d/", testkit.FreePort(t)), strings.NewReader("x"))
	e := wantError(t, err, proto.CodeTargetRefused, proto.OutcomeNotSent)
	if e.Reason != proto.ReasonRefused || e.Facts["address"] == "" || e.Timing == nil {
		t.Errorf("%+v", e)
	}

	resp, err := r.send(t.Context(), "GET", broken.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	wantError(t, err, proto.CodeTargetUnreachable, proto.OutcomeSent)
	_ = resp.Body.Close()
}

func TestFaultyRequestsAreNotSent(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the application was asked") })
	r := newRelay(t, false)
	r.enrolled()
	short, _ := http.NewRequest("POST", app.URL, strings.NewReader("12345"))
	short.ContentLength = 9
	smuggled, _ := http.NewRequest("GET", app.URL, nil)
	smuggled.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"
	for _, req := range []*http.Request{short, smuggled} {
		_, err := r.hub.Road("agt_1").RoundTrip(req)
		wantError(t, err, proto.CodeInternal, proto.OutcomeNotSent)
	}

	broken, _ := http.NewRequest("POST", app.URL, io.MultiReader(strings.NewReader("part"), failing{}))
	app.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the application took a part of the body for the whole")
		}
	})
	if _, err := r.hub.Road("agt_1").RoundTrip(broken); proto.AsError(err) == nil || proto.AsError(err).Code != proto.CodeCanceled {
		t.Errorf("got %v", err)
	}
	awaitIdle(t, r)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the caller went away") }

func TestManyRequestsAtOnce(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.RawQuery) })
	r := newRelay(t, false)
	r.enrolled()
	errs := make(chan error, 600) // more than both tunnels take at once
	for i := range cap(errs) {
		go func() {
			want := fmt.Sprint("n=", i)
			resp, err := r.send(t.Context(), "GET", app.URL+"?"+want, nil)
			if err == nil {
				var raw []byte
				raw, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil && string(raw) != want {
					err = fmt.Errorf("got %q, want %q", raw, want)
				}
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}
