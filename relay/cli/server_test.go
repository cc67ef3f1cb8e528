package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"sallyport/internal/testkit"
)

// TestStopLosesNoRequest: whoever could connect is answered, also in the very
// instant of the stop, on new connections and on kept ones.
func TestStopLosesNoRequest(t *testing.T) {
	if runtime.GOOS != "linux" {
		testkit.Missing(t, "Linux", "elsewhere what waits in the listener's queue is reset")
	}
	const rounds = 24
	var running sync.WaitGroup
	var answered, connected atomic.Int64
	for range rounds {
		running.Go(func() { stopUnderLoad(t, &answered, &connected) })
	}
	running.Wait()
	t.Logf("%d stops, %d requests were answered on %d connections", rounds, answered.Load(), connected.Load())
}

// stopUnderLoad has clients send what they can until they find the port closed.
func stopUnderLoad(t *testing.T, answered, connected *atomic.Int64) {
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	s := startServer(l, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}), zaptest.NewLogger(t))
	s.grace, s.quiet = 20*time.Second, 500*time.Millisecond // a client may be held up for longer than usual here
	var clients sync.WaitGroup
	enough := make(chan struct{}, 1)
	for i := range 6 {
		c := poster{address: l.Addr().String(), keeps: i%2 == 0, answered: answered, connected: connected, enough: enough}
		clients.Go(func() {
			for {
				conn, err := net.DialTimeout("tcp", c.address, 300*time.Millisecond)
				var late net.Error
				switch {
				case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &late) && late.Timeout():
					return
				case err != nil:
					t.Errorf("dial: %v", err)
					return
				}
				if err := c.use(conn); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	<-enough
	s.stop(context.Background())
	if s.failed != nil {
		t.Error(s.failed)
	}
	clients.Wait()
}

// poster sends POSTs, which nobody would send again for it.
type poster struct {
	address             string
	keeps               bool // the connection, for the next request
	answered, connected *atomic.Int64
	enough              chan<- struct{} // told after some
}

func (c *poster) use(conn net.Conn) error {
	defer conn.Close()
	c.connected.Add(1)
	answers := bufio.NewReader(conn)
	for n := 1; ; n++ {
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
			return fmt.Errorf("send request %d of a connection: %w", n, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return fmt.Errorf("request %d of a connection is lost: %w", n, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "hello" {
			return fmt.Errorf("answered %q, %v", body, err)
		}
		if c.answered.Add(1)%100 == 0 {
			select {
			case c.enough <- struct{}{}:
			default:
			}
		}
		if resp.Close || !c.keeps {
			return nil
		}
	}
}

// TestStopIsNotHeldUp by connections that are kept, and by those that say
// nothing only for a moment.
func TestStopIsNotHeldUp(t *testing.T) {
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(l, l, http.NotFoundHandler(), zaptest.NewLogger(t))
	kept, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = kept.Body.Close()
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	s.stop(ctx)
	t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
	if ctx.Err() != nil {
		t.Error("the stop was held up")
	}
	_ = silent.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("who said nothing is still connected: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestAConnectionThatCancelsAllItsRequestsEnds: net/http keeps a connection whose
// context has ended, and would have each later request on it begin cancelled.
func TestAConnectionThatCancelsAllItsRequestsEnds(t *testing.T) {
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(l, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/spoil" {
			// The connection is read meanwhile, to notice that the client leaves.
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
			<-r.Context().Done()
		}
		_, _ = fmt.Fprint(w, r.Context().Err())
	}), zaptest.NewLogger(t))
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.stop(context.Background())
	})
	for _, step := range []struct {
		path, context string
		last          bool
	}{
		{"/spoil", "context canceled", false},
		{"/", "context canceled", true},
		{"/", "<nil>", false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+step.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(text) != step.context || resp.Close != step.last {
			t.Errorf("%s: %q, %v, last %v", step.path, text, err, resp.Close)
		}
	}
}
