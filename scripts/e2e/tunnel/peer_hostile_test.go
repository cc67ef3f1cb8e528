package tunnel

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/agent/link"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// forgedFailure is "agent_offline", reason "not_there", outcome "not_sent", as a
// relay would say it to another.
const forgedFailure = "eyJjb2RlIjoiYWdlbnRfb2ZmbGluZSIsInJlYXNvbiI6Im5vdF90aGVyZSIsIm91dGNvbWUiOiJub3Rfc2VudCJ9"

// TestHostileAgentHarmsOnlyItself: the connection between two relays is shared by
// the agents of everybody.
func TestHostileAgentHarmsOnlyItself(t *testing.T) {
	a, b := newPair(t)
	var asked atomic.Int32
	waiting, finish := make(chan struct{}), make(chan struct{})
	fields := strings.Repeat("A: \r\n", 200_000) // 1 MB; for HTTP/2 32 bytes more each
	said := `{"reason":"not_there","outcome":"not_sent","detail":"forged"}`
	a.agent(a.dir.enrol("agt_1", "ins_1"), func(_ context.Context, stream net.Conn) {
		defer stream.Close()
		req, err := http.ReadRequest(bufio.NewReader(stream))
		if err != nil {
			return
		}
		answer := ""
		switch req.URL.Path {
		case "/wait":
			close(waiting)
			<-finish
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
		case "/fields":
			answer = "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 2\r\n\r\nok"
		case "/hints":
			answer = "HTTP/1.1 103 Early Hints\r\n" + fields + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		case "/forged":
			answer = "HTTP/1.1 200 OK\r\nSallyport-Peer-Failure: " + forgedFailure + "\r\nSallyport-Peer-Status: 204\r\nTransfer-Encoding: chunked\r\n" +
				"Trailer: Sallyport-Peer-Failure, X-Sum\r\n\r\n2\r\nok\r\n0\r\nSallyport-Peer-Failure: " + forgedFailure + "\r\nX-Sum: 1\r\n\r\n"
		case "/not-there":
			asked.Add(1)
			answer = "HTTP/1.1 503 No\r\nSallyport-Error: agent_offline\r\nContent-Length: " + strconv.Itoa(len(said)) + "\r\n\r\n" + said
		}
		_, _ = io.WriteString(stream, answer)
	}, nil)
	a.awaitTunnels(2)
	a.awaitMet(b)
	neighbour := make(chan string, 1)
	go func() {
		resp, err := b.send(t.Context(), "POST", "http://erp/wait", nil)
		neighbour <- whole(resp, err)
	}()
	<-waiting

	_, err := b.send(t.Context(), "POST", "http://erp/fields", nil)
	if e := wantError(t, err, proto.CodeInternal, proto.OutcomeSent); !strings.Contains(e.Detail, "header fields") {
		t.Errorf("got %s", e)
	}
	told := &hints{}
	ctx := context.WithValue(t.Context(), outbound.InformKey{}, outbound.Informer(told))
	resp, err := b.send(ctx, "POST", "http://erp/hints", nil)
	if got := whole(resp, err); got != "ok" || told.n.Load() != 0 {
		t.Errorf("after hints that are too long: %q, %d passed on", got, told.n.Load())
	}
	resp, err = b.send(t.Context(), "POST", "http://erp/forged", nil)
	if got := whole(resp, err); got != "ok" || resp.Trailer.Get("X-Sum") != "1" || len(resp.Trailer) != 1 || resp.StatusCode != 200 {
		t.Errorf("%q, %+v", got, resp)
	}
	_, err = b.send(t.Context(), "POST", "http://erp/not-there", nil)
	if e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent); e.Detail != "forged" || asked.Load() != 1 {
		t.Errorf("asked %d times, and then %s", asked.Load(), e)
	}

	close(finish)
	if got := <-neighbour; got != "well" {
		t.Errorf("the other request: %q", got)
	}
}

// hints counts informational responses.
type hints struct{ n atomic.Int32 }

func (h *hints) Inform(int, http.Header) { h.n.Add(1) }

// TestOneAgentLeavesPlacesForOthers: of those that one relay has at another.
func TestOneAgentLeavesPlacesForOthers(t *testing.T) {
	const most = 768 // three quarters of 1024
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	a, b := newPair(t)
	a.agent(a.dir.enrol("agt_1", "ins_1"), func(ctx context.Context, stream net.Conn) {
		defer stream.Close()
		_, _ = io.Copy(io.Discard, stream) // until the caller leaves
	}, nil)
	key := a.dir.enrol("agt_2", "ins_2")
	a.agent(key, forwarding(t), func(o *link.Options) { o.Identity = link.Identity{AgentID: "agt_2", InstanceID: "ins_2", Key: key} })
	a.awaitTunnels(2)
	a.awaitMet(b)
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	for range most {
		req := mustRequest(t, "POST", app.URL, nil).WithContext(ctx)
		req.Header.Set(proto.HeaderWait, "300000")
		sending.Go(func() { _, _ = b.hub.Road("agt_1").RoundTrip(req) })
	}
	testkit.Eventually(t, patience, "all are on their way to the other relay", func() error {
		if n := b.figure("sallyport_peer_requests_in_flight"); n != most {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	for _, wait := range []string{"0", "300"} {
		req := mustRequest(t, "POST", app.URL, nil)
		req.Header.Set(proto.HeaderWait, wait)
		_, err := b.hub.Road("agt_1").RoundTrip(req)
		e := wantError(t, err, proto.CodeTooManyRequests, proto.OutcomeNotSent)
		if !strings.Contains(e.Detail, "connected to another relay, rly_a, and as many requests") || e.Facts["limit"] != strconv.Itoa(most) || e.Facts["retryAfter"] != "1" {
			t.Errorf("waiting %s ms: %s %v", wait, e, e.Facts)
		}
	}
	resp, err := b.hub.Road("agt_2").RoundTrip(mustRequest(t, "POST", app.URL, nil))
	if got := whole(resp, err); got != "here" {
		t.Errorf("another agent: %q", got)
	}
	cancel()
	sending.Wait()
	resp, err = b.hub.Road("agt_2").RoundTrip(mustRequest(t, "POST", app.URL, nil))
	if got := whole(resp, err); got != "here" {
		t.Errorf("after all have left: %q", got)
	}
	if n := b.figure("sallyport_peer_requests_in_flight"); n != 0 {
		t.Errorf("%v places are still taken", n)
	}
}
