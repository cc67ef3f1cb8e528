//go:build unix

package balancer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// workshop is an application that does a bit of everything.
type workshop struct {
	counter
	events    chan string
	cancelled chan string // paths whose caller has left
}

func (w *workshop) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/sum": // of what was sent
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(rw, "%s %d %s", r.Method, n, hex.EncodeToString(sum.Sum(nil)))
	case "/echo":
		_, _ = io.Copy(rw, r.Body)
	case "/file": // its own sum comes last
		sum := sha256.New()
		chunk := make([]byte, 1<<20)
		for range fileSize >> 20 {
			_, _ = rand.Read(chunk)
			sum.Write(chunk)
			_, _ = rw.Write(chunk)
		}
		_, _ = rw.Write(sum.Sum(nil))
	case "/events":
		rw.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case text := <-w.events:
				fmt.Fprintf(rw, "data: %s\n\n", text)
				_ = http.NewResponseController(rw).Flush()
			case <-r.Context().Done():
				w.cancelled <- r.URL.Path
				return
			}
		}
	case "/hang":
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice who leaves
		<-r.Context().Done()
		w.cancelled <- r.URL.Path
	default:
		w.counter.ServeHTTP(rw, r)
	}
}

const fileSize = 64 << 20

func (w *workshop) wantCancelled(t *testing.T, path string) {
	t.Helper()
	select {
	case got := <-w.cancelled:
		if got != path {
			t.Errorf("%s was cancelled, not %s", got, path)
		}
	case <-within(t, patience).Done():
		t.Errorf("the application still works on %s", path)
	}
}

// takePeers lets both relays take requests of each other.
func takePeers(s *stage) {
	for _, r := range s.relays {
		r.peers = fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(s.t))
	}
}

// at is the stage as seen by those who ask this relay, past the balancer.
func (s *stage) at(r *relay) *stage {
	there := *s
	there.api = r.api
	return &there
}

// awaitMet waits until each relay is connected to the other.
func (s *stage) awaitMet() {
	s.t.Helper()
	for _, r := range s.relays {
		testkit.Eventually(s.t, patience, "relay "+r.name+" is connected to the other one", func() error {
			if got := r.figure(s.t, "sallyport_peers_connected"); got != 1 {
				return fmt.Errorf("%v connections", got)
			}
			return nil
		})
	}
}

// figure is the sum of a metric over its labels.
func (r *relay) figure(t *testing.T, name string) (sum float64) {
	t.Helper()
	req, err := r.api.Request(within(t, patience), "GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.api.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && (rest[0] == ' ' || rest[0] == '{') {
			n, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// peak is the most memory that the relay had in RAM so far, in bytes.
func (r *relay) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.PID()))
	if os.IsNotExist(err) {
		testkit.Missing(t, "Linux", "the memory of a process is read from /proc")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	kb, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// TestRelayReachesAgentsOfTheOther: the agent is connected to the first relay, and
// everything is asked of the second.
func TestRelayReachesAgentsOfTheOther(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := &workshop{counter: counter{seen: map[string]int{}}, events: make(chan string), cancelled: make(chan string, 8)}
	s := newStage(t, startHAProxy, 60, testkit.Postgres(t), app, takePeers)
	a, b := s.relays[0], s.relays[1]
	s.bringUp(b)
	s.awaitMet()
	there := s.at(b)
	before := map[*relay]int{a: a.peak(t), b: b.peak(t)}

	t.Run("Test is green", func(t *testing.T) {
		var result struct {
			OK    bool `json:"ok"`
			Steps []struct{ Name, Status, Message string }
		}
		var connection map[string]any
		if err := b.api.Do(t.Context(), "GET", "/api/v1/connections/"+s.id, nil, &connection); err != nil {
			t.Fatal(err)
		}
		draft := map[string]any{"name": "Draft", "mode": "on-premise", "agentId": s.agentID, "baseUri": connection["baseUri"],
			"auth": map[string]string{"type": "none"}, "ping": map[string]string{"uri": "/count"}}
		if err := b.api.Do(t.Context(), "POST", "/api/v1/connections/test", draft, &result); err != nil {
			t.Fatal(err)
		}
		if !result.OK || !strings.Contains(result.Steps[0].Message, "online on") {
			t.Errorf("got %+v", result)
		}
	})
	t.Run("bodies pass both ways", func(t *testing.T) {
		if got := there.send(there.request("POST", "/echo", strings.NewReader("some \x00 bytes"))); got.body != "some \x00 bytes" || !strings.Contains(got.Header.Get("Server-Timing"), "tunnel;") {
			t.Errorf("%s %q %s", got.Status, got.body, got.Header.Get("Server-Timing"))
		}
		sum := sha256.New()
		up := there.request("POST", "/sum", io.TeeReader(io.LimitReader(rand.Reader, fileSize), sum))
		if got, want := there.send(up), fmt.Sprintf("POST %d ", fileSize); !strings.HasPrefix(got.body, want) || !strings.HasSuffix(got.body, hex.EncodeToString(sum.Sum(nil))) {
			t.Errorf("upload: %s %.100s", got.Status, got.body)
		}
		resp, err := b.api.HTTP.Do(there.request("GET", "/file", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		sum.Reset()
		n, err := io.CopyN(sum, resp.Body, fileSize)
		last, _ := io.ReadAll(resp.Body)
		if err != nil || n != fileSize || !bytes.Equal(sum.Sum(nil), last) {
			t.Errorf("download: %d bytes, %v, equal: %v", n, err, bytes.Equal(sum.Sum(nil), last))
		}
		for r, was := range before {
			grown := r.peak(t) - was
			t.Logf("relay %s grew by %d MiB at most", r.name, grown>>20)
			if grown > 96<<20 { // 64 MiB are what garbage may gather
				t.Errorf("relay %s grew by %d MiB while %d MiB passed each way", r.name, grown>>20, fileSize>>20)
			}
		}
	})
	t.Run("events pass as they happen, and who leaves ends them", func(t *testing.T) {
		there.eventsPass(t, app.events)
		app.wantCancelled(t, "/events")
	})
	t.Run("who leaves ends what the application works on", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		req := there.request("POST", "/hang", strings.NewReader("x")).WithContext(ctx)
		go func() {
			resp, err := b.api.HTTP.Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
		}()
		testkit.Eventually(t, patience, "the agent's page shows what is under way", func() error {
			var agent struct {
				Status    string `json:"status"`
				Instances []struct {
					InFlight int `json:"inFlight"`
				} `json:"instances"`
			}
			if err := b.api.Do(t.Context(), "GET", "/api/v1/agents/"+s.agentID, nil, &agent); err != nil {
				return err
			}
			if agent.Status != "online" || len(agent.Instances) != 1 || agent.Instances[0].InFlight != 1 {
				return fmt.Errorf("%+v", agent)
			}
			return nil
		})
		cancel()
		app.wantCancelled(t, "/hang")
	})
	t.Run("who is removed is cut off", func(t *testing.T) {
		var agent struct {
			Instances []struct{ ID string }
		}
		if err := b.api.Do(t.Context(), "GET", "/api/v1/agents/"+s.agentID, nil, &agent); err != nil {
			t.Fatal(err)
		}
		if err := b.api.Do(t.Context(), "DELETE", "/api/v1/agents/"+s.agentID+"/instances/"+agent.Instances[0].ID, nil, nil); err != nil {
			t.Fatal(err)
		}
		s.awaitTunnels(0)
	})
	if n := b.figure(t, "sallyport_peer_requests_total"); n < 5 {
		t.Errorf("%v requests went by way of the other relay", n)
	}
}

// TestRelaysStopWhileTheOtherReachesTheirAgents: the load goes to one relay, the
// agent is at the other, which is stopped in order: it moves, and no request fails.
func TestRelaysStopWhileTheOtherReachesTheirAgents(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := &counter{seen: map[string]int{}}
	s := newStage(t, startHAProxy, 60, testkit.Postgres(t), app, takePeers)
	holds, asked := s.relays[0], s.relays[1]
	s.bringUp(asked)
	for round := range 2 {
		s.awaitMet()
		app.forget() // what the round before has sent
		load := s.at(asked).load(t, asked.api.HTTP, 4)
		load.await(t, 100)
		if n := holds.figure(t, "sallyport_peer_requests_total"); n < 100 {
			t.Errorf("round %d: %v requests came by way of the other relay", round, n)
		}
		holds.process.MustStop(t)
		load.await(t, 100)
		load.stop(t)
		app.check(t, load.posts)
		if round > 0 {
			break
		}
		s.bringUp(holds)
		holds, asked = asked, holds
	}
	if n := s.downs(); n > 0 {
		t.Errorf("the agent lost %d tunnels", n)
	}
}

// TestRelayIsKilledWhileTheOtherReachesItsAgents: without a word, in the middle of
// requests. What fails must say whether it was sent, and nothing may arrive twice.
func TestRelayIsKilledWhileTheOtherReachesItsAgents(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := &counter{seen: map[string]int{}}
	s := newStage(t, startHAProxy, 60, testkit.Postgres(t), app, takePeers)
	a, b := s.relays[0], s.relays[1]
	s.bringUp(b)
	s.awaitMet()
	load := s.at(b).load(t, b.api.HTTP, 8)
	load.await(t, 200)
	a.kill(t)
	s.awaitTunnels(2)
	load.await(t, 100)
	failures := load.finish()
	t.Logf("%d requests were answered, %d failed; the slowest took %s", load.answered, len(failures), load.slowest)
	for _, f := range failures {
		if strings.Contains(f, "-GET-") || !strings.Contains(f, `"outcome":"unknown"`) {
			t.Errorf("%s", f)
		}
	}
	app.check(t, load.posts)
	s.wantStatus(t, b, "online")
}
