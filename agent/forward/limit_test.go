package forward

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

func TestBodyOverItsLimitIsRefused(t *testing.T) {
	var whole, reached atomic.Int32
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
	})
	transport := outbound.New(outbound.Options{})
	t.Cleanup(transport.Close)
	f := New(Options{Transport: transport, MaxBody: 20_000})
	chunked := func(n int) string {
		return "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat("x", n)) + "0\r\n\r\n"
	}
	sized := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n)) }
	for _, c := range []struct {
		name, rest string
		outcome    proto.Outcome // "": it is within the limit
	}{
		{"sized, within", sized(20_000), ""},
		{"sized, over", sized(20_001), proto.OutcomeNotSent},
		{"chunked, within", chunked(20_000), ""},
		{"chunked, over", chunked(20_001), proto.OutcomeUnknown},
		{"chunked, far over", chunked(2_000_000), proto.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole.Store(0)
			reached.Store(0)
			relay, agent := net.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); f.Serve(t.Context(), agent) }()
			defer func() { _ = relay.Close(); <-done }()
			resp, _, _ := ask(t, relay, "POST "+url+"/ HTTP/1.1\r\nHost: x\r\n"+c.rest)
			if c.outcome == "" {
				if resp.StatusCode != http.StatusOK || whole.Load() != 1 {
					t.Errorf("%s, %d whole", resp.Status, whole.Load())
				}
				return
			}
			e := problem(t, resp)
			if e.Code != proto.CodeTooLarge || e.Outcome != c.outcome || e.Facts["limit"] != "20000" || !strings.Contains(e.Hint, "maxRequestBody") {
				t.Errorf("%+v", e)
			}
			if whole.Load() != 0 || c.outcome == proto.OutcomeNotSent && reached.Load() != 0 {
				t.Errorf("the target was reached %d times, and got %d whole", reached.Load(), whole.Load())
			}
		})
	}
}

func TestRequestThatIsOneTooManyIsAnswered(t *testing.T) {
	overEachRefused(t, func(t *testing.T, relay net.Conn) {
		resp, _, _ := ask(t, relay, "POST http://erp/ HTTP/1.1\r\nHost: erp\r\nContent-Length: 5\r\n\r\nhello")
		if e := problem(t, resp); e.Code != proto.CodeTooManyRequests || e.Outcome != proto.OutcomeNotSent {
			t.Errorf("%+v", e)
		}
	})
}

// overEachRefused runs a test once for each kind of stream, with a forwarder
// that refuses what comes down it.
func overEachRefused(t *testing.T, test func(t *testing.T, relay net.Conn)) {
	for name, open := range pipes {
		t.Run(name, func(t *testing.T) {
			relay, agent := open(t)
			done := make(chan struct{})
			go func() { defer close(done); forwarder(t, nil).Refuse(agent) }()
			defer func() { _ = relay.Close(); <-done; _ = agent.Close() }()
			test(t, relay)
		})
	}
}
