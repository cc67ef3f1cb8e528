package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// away is an on-premise road whose agent comes back when the test says so.
type away struct {
	http.RoundTripper
	back     chan struct{}
	waiting  chan struct{} // one for each request that waits
	departed chan error    // how waits ended
}

func (r away) MostWait() time.Duration { return time.Hour }

func (r away) Await(ctx context.Context, _ time.Duration) (time.Duration, error) {
	return 0, r.wait(ctx)
}

func (r away) wait(ctx context.Context) error {
	r.waiting <- struct{}{}
	var err error
	select {
	case <-r.back:
	case <-ctx.Done():
		err = &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeNotSent}
	}
	r.departed <- err
	return err
}

func (r away) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.wait(req.Context()); err != nil {
		_ = req.Body.Close()
		return nil, err
	}
	return r.RoundTripper.RoundTrip(req)
}

func (r away) Road(string) http.RoundTripper { return r }

func awaySite(t *testing.T) (*site, away) {
	s := newSite(t, nil)
	s.c.Mode, s.c.AgentID, s.c.Auth.Type = connection.OnPremise, "agt_1", connection.AuthNone
	r := away{s.roads.For(&connection.Connection{Spec: connection.Spec{Mode: connection.Cloud}}),
		make(chan struct{}), make(chan struct{}, 10), make(chan error, 10)}
	s.gateway.roads = road.New(r.RoundTripper, r)
	return s, r
}

// TestCallerWhoLeavesWhileHeldIsNotWaitedFor, with a body that nobody has asked
// for yet.
func TestCallerWhoLeavesWhileHeldIsNotWaitedFor(t *testing.T) {
	for name, body := range map[string]string{
		"none": "\r\n", "short": "Content-Length: 5\r\n\r\nhello", "chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, r := awaySite(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST %s/orders HTTP/1.1\r\nHost: relay\r\n%s", prefix, body)
			<-r.waiting
			_ = conn.Close()
			select {
			case err := <-r.departed:
				if err == nil {
					t.Error("it was sent")
				}
			case <-time.After(10 * time.Second):
				close(r.back)
				t.Fatal("it is still waited for")
			}
		})
	}
}

func TestBodyThatWasReadAheadIsSentWhole(t *testing.T) {
	for _, length := range []int{0, 1, aheadLimit - 1, aheadLimit, aheadLimit + 1, 1 << 20} {
		s, r := awaySite(t)
		got := -1
		s.app.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil && strings.Trim(string(body), "x") == "" {
				got = len(body)
			}
		})
		time.AfterFunc(2*aheadAfter, func() { close(r.back) })
		resp := s.do(t, "POST", "/orders", io.MultiReader(strings.NewReader(strings.Repeat("x", length))))
		if resp.StatusCode != 200 || got != length {
			t.Errorf("%d bytes: %s, %d arrived", length, resp.Status, got)
		}
	}
}

// TestCallerWhoDawdlesDoesNotHoldUpTheHandler: the body is being read ahead
// when the answer has gone out.
func TestCallerWhoDawdlesDoesNotHoldUpTheHandler(t *testing.T) {
	s, r := awaySite(t)
	s.app.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusTeapot)
	})
	time.AfterFunc(2*aheadAfter, func() { close(r.back) })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "POST %s/orders HTTP/1.1\r\nHost: relay\r\nContent-Length: 10\r\n\r\nhalf", prefix)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusTeapot || !resp.Close {
		t.Errorf("%+v, %v", resp, err)
	}
}
