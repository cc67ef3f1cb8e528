package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// TestBodyOverItsLimit: where its length is told, nothing is sent; where it is
// not, the application gets no whole request.
func TestBodyOverItsLimit(t *testing.T) {
	for _, c := range []struct {
		name    string
		told    bool
		length  int
		status  int
		outcome proto.Outcome
	}{
		{"told, within", true, 100_000, 200, ""},
		{"told, over", true, 100_001, 413, proto.OutcomeNotSent},
		{"untold, within", false, 100_000, 200, ""},
		{"untold, over", false, 100_001, 413, proto.OutcomeUnknown},
		{"untold, far over", false, 5_000_000, 413, proto.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			s.gateway.maxBody = 100_000
			var whole, reached atomic.Int32
			s.mux.HandleFunc("/base/upload", func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				if n, err := io.Copy(io.Discard, r.Body); err == nil && n == int64(c.length) {
					whole.Add(1)
				}
			})
			s.do(t, "GET", "/", nil) // signs in
			var body io.Reader = strings.NewReader(strings.Repeat("x", c.length))
			if !c.told {
				body = io.MultiReader(body)
			}
			resp := s.do(t, "POST", "/upload", body)
			if resp.StatusCode != c.status {
				t.Fatal(resp.Status)
			}
			if c.status == 200 {
				if whole.Load() != 1 {
					t.Error("the application did not get the body")
				}
				return
			}
			var p problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if p.Code != proto.CodeTooLarge || p.Outcome != c.outcome || p.Facts["limit"] != "100000" || !strings.Contains(p.Detail, "100 KB") {
				t.Errorf("%+v", p)
			}
			if whole.Load() != 0 || c.told && reached.Load() != 0 {
				t.Errorf("the application was reached %d times, with a whole body %d times", reached.Load(), whole.Load())
			}
		})
	}
}

// TestCallerWhoseBodyIsRefusedNeedNotSendIt: neither one who waits to be asked
// for it, nor one who has told its length.
func TestCallerWhoseBodyIsRefusedNeedNotSendIt(t *testing.T) {
	s := newSite(t, nil)
	s.c.Auth.Type = connection.AuthNone
	s.gateway.maxBody = 1000
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.relay.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "POST %s/x HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000000\r\n%s\r\n", prefix, expect)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
			t.Errorf("%s, close %v", resp.Status, resp.Close)
		}
	}
}
