//go:build unix

package scale

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// stalled is how many callers begin a download and stop reading.
const stalled = 200

// TestStalledReadersHarmNobody: others' requests go on, and what the relay
// holds for those who do not read stays within what its documentation says.
func TestStalledReadersHarmNobody(t *testing.T) {
	const bound = stalled*256<<10 + 128<<20 // of what is unread, in bytes
	for _, path := range []struct {
		name  string
		delay time.Duration // one way
	}{
		{"on a short path", 0},
		{"on a path of 80 ms", 40 * time.Millisecond},
	} {
		t.Run(path.name, func(t *testing.T) {
			s := newStage(t, 1)
			between, err := testkit.NewForwarder("127.0.0.1:0", s.api.Base[len("http://"):])
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(between.Close)
			between.SetDelay(path.delay)
			s.startSites("--relay", "http://"+between.Addr())
			s.awaitWhole("online", time.Minute)
			door := s.proxy()
			s.small(door, 20) // signs in, and warms up
			collected := s.metrics()["go_memstats_next_gc_bytes"]
			before, beforeAgent := s.resident(s.relay), s.resident(s.sites)
			alone := s.small(door, 50)

			callers := s.stall(door)
			testkit.Eventually(t, time.Minute, "the downloads have stalled", func() error {
				got := s.metrics()["sallyport_tunnel_received_bytes_total"]
				time.Sleep(time.Second)
				if more := s.metrics()["sallyport_tunnel_received_bytes_total"] - got; more > 1<<20 {
					return fmt.Errorf("%.0f bytes came within a second", more)
				}
				return nil
			})
			meanwhile := s.small(door, 50)
			relay, agent := s.resident(s.relay)-before, s.resident(s.sites)-beforeAgent
			t.Logf("small requests: half within %s, all within %s; meanwhile half within %s, all within %s; the relay grew by %d MiB, the agent by %d MiB",
				alone[25], alone[49], meanwhile[25], meanwhile[49], relay>>20, agent>>20)
			if meanwhile[25] > 20*alone[25]+time.Second {
				t.Errorf("small requests take %s", meanwhile[25])
			}
			// Buffers grow by doubling, and what they grew out of stays for a
			// while: the next collection is due at twice what was alive at the last.
			alive := int64(s.metrics()["go_memstats_next_gc_bytes"]-collected) / 2
			t.Logf("of that %d MiB are alive", alive>>20)
			if most := int64(2*bound + 64<<20); alive > most {
				t.Errorf("that is over %d", most>>20)
			}
			if most := int64(6*bound + 128<<20); relay > most {
				t.Errorf("the relay grew by %d MiB, over %d", relay>>20, most>>20)
			}
			if most := int64(stalled) << 20; agent > most {
				t.Errorf("the agent grew by %d MiB, over %d", agent>>20, most>>20)
			}
			for _, c := range callers {
				_ = c.Close()
			}
			testkit.Eventually(t, time.Minute, "nothing is left", func() error {
				m := s.metrics()
				if n, w := m["sallyport_tunnel_requests_in_flight"], m["sallyport_tunnel_large_windows_bytes"]; n > 0 || w > 128<<20/2 {
					return fmt.Errorf("%.0f requests are under way, %.0f bytes of windows are taken", n, w)
				}
				return nil
			})
			s.small(door, 20)
		})
	}
}

// proxy saves a connection through the only agent and returns the path of its proxy.
func (s *stage) proxy() string {
	s.t.Helper()
	var saved struct{ ID string }
	err := s.api.Do(s.t.Context(), "POST", "/api/v1/connections", object{
		"name": "Site", "mode": "on-premise", "agentId": s.ids[0].AgentID, "baseUri": s.door, "mediaType": "json",
		"auth": object{"type": "cookie", "cookie": object{"method": "POST", "uri": "/session", "body": "{}"}},
		"ping": object{"method": "GET", "uri": "/me", "successPath": "ok", "successValues": []string{"true"}},
	}, &saved)
	if err != nil {
		s.t.Fatal(err)
	}
	return "/api/v1/connections/" + saved.ID + "/proxy"
}

// small sends small requests one after the other and returns how long they
// took, the shortest first.
func (s *stage) small(door string, n int) []time.Duration {
	s.t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if err := s.api.Do(s.t.Context(), "GET", door+"/me", nil, nil); err != nil {
			s.t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took
}

// stall begins downloads, reads a little of each and then nothing more.
func (s *stage) stall(door string) []net.Conn {
	t := s.t
	t.Helper()
	callers := make([]net.Conn, stalled)
	var beginning sync.WaitGroup
	for i := range callers {
		conn, err := net.Dial("tcp", s.api.Base[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		callers[i] = conn
		beginning.Go(func() {
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			fmt.Fprintf(conn, "GET %s/endless HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer %s\r\n\r\n", door, s.api.Token)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s", resp.Status)
			}
			if err == nil {
				_, err = io.ReadFull(resp.Body, make([]byte, 64<<10))
			}
			if err != nil {
				t.Errorf("download %d: %v", i, err)
			}
		})
	}
	beginning.Wait()
	return callers
}

// resident is how much memory a process has, in bytes.
func (s *stage) resident(p *testkit.Process) int64 {
	s.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		testkit.Missing(s.t, "/proc", err.Error())
	}
	var size, resident int64
	if _, err := fmt.Fscan(strings.NewReader(string(raw)), &size, &resident); err != nil {
		s.t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
