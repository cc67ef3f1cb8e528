//go:build unix

package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/testkit"
)

// counter is an application that counts how often each request arrives.
type counter struct {
	mu   sync.Mutex // guards seen
	seen map[string]int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.seen[r.URL.Query().Get("id")]++
	c.mu.Unlock()
	_, _ = w.Write([]byte("counted"))
}

// forget forgets what has arrived so far.
func (c *counter) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
}

// check wants every POST that was answered to have arrived once, and none to
// have arrived twice.
func (c *counter) check(t *testing.T, posts map[string]string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, failure := range posts {
		if n := c.seen[id]; n > 1 || n == 0 && failure == "" {
			t.Errorf("%s arrived %d times (failure %q)", id, n, failure)
		}
	}
}

// TestRelaysTakeOverFromEachOther: two relays on one PostgreSQL behind
// HAProxy. Each is stopped while the other takes over, several times, under a
// load of GETs and POSTs of which none may fail.
func TestRelaysTakeOverFromEachOther(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := &counter{seen: map[string]int{}}
	s := newStage(t, startHAProxy, 60, testkit.Postgres(t), app)
	load := s.load(t, s.api.HTTP, 4)
	load.await(t, 50)
	serving, coming := s.relays[0], s.relays[1]
	for turn := range 3 {
		s.bringUp(coming)
		s.wantStatus(t, coming, "online") // the agent is connected to the other one
		if turn == 0 {
			s.wantBeyond(t, coming)
		}
		serving.process.MustStop(t)
		load.await(t, 50)
		s.wantStatus(t, coming, "online")
		serving, coming = coming, serving
	}
	load.stop(t)
	app.check(t, load.posts)
	if n := s.downs(); n > 0 {
		t.Errorf("the agent lost %d tunnels:\n%s", n, strings.Join(s.agent.Log().Lines(`"tunnel down"`), "\n"))
	}
}

// wantBeyond wants the relay to say to requests and to tests that the agent is
// connected to the other one, and what to set.
func (s *stage) wantBeyond(t *testing.T, r *relay) {
	t.Helper()
	const says, advises = `The agent "Plant 2" is connected to another relay, rly_`, "Set peer-listen on every relay"
	req, err := r.api.Request(t.Context(), "GET", "/api/v1/connections/"+s.id+"/proxy/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "wait=0")
	resp, err := r.api.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var problem struct{ Code, Outcome, Reason, Detail, Hint string }
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if problem.Code != "agent_offline" || problem.Outcome != "not_sent" || problem.Reason != "relay_unreachable" ||
		!strings.HasPrefix(problem.Detail, says) || !strings.Contains(problem.Hint, advises) {
		t.Errorf("a request is told %+v", problem)
	}
	var test struct {
		Steps []struct{ Name, Status, Message, Hint string }
	}
	if err := r.api.Do(t.Context(), "POST", "/api/v1/connections/"+s.id+"/test", nil, &test); err != nil {
		t.Fatal(err)
	}
	if first := test.Steps[0]; first.Status != "failed" || !strings.HasPrefix(first.Message, says) || !strings.Contains(first.Hint, advises) {
		t.Errorf("a test says %+v", first)
	}
}

// TestKilledRelayIsTakenOverFrom: without a word. What fails must say whether
// it was sent, or be a broken connection, and nothing may arrive twice.
func TestKilledRelayIsTakenOverFrom(t *testing.T) {
	t.Parallel() // most of the time it waits
	app := &counter{seen: map[string]int{}}
	s := newStage(t, startHAProxy, 60, testkit.Postgres(t), app)
	dead, heir := s.relays[0], s.relays[1]
	load := s.load(t, s.api.HTTP, 4)
	load.await(t, 50)
	s.bringUp(heir)
	dead.kill(t)
	s.awaitTunnels(2)
	load.await(t, 100)
	failures := load.finish()
	t.Logf("%d requests were answered, %d failed; the slowest took %s", load.answered, len(failures), load.slowest)
	for _, f := range failures {
		switch {
		case strings.Contains(f, "-GET-"):
			t.Errorf("a GET: %s", f)
		case strings.Contains(f, "broken: "), strings.Contains(f, `(Sallyport-Error "")`): // of the balancer
		case !strings.Contains(f, `"outcome"`):
			t.Errorf("no outcome: %s", f)
		}
	}
	app.check(t, load.posts)
	s.wantStatus(t, heir, "online")

	// The agent goes while the relay that once held it is dead: nobody else
	// takes it off the list.
	if err := s.agent.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.agent.Done()
	s.wantStatus(t, heir, "offline")
}

// kill ends a relay without a word.
func (r *relay) kill(t *testing.T) {
	t.Helper()
	if err := r.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.process.Done()
}

// bringUp starts a relay and waits until HAProxy sends requests to it.
func (s *stage) bringUp(r *relay) {
	s.t.Helper()
	said := "Server sallyport/" + r.name + " is UP"
	before := len(s.front.process.Log().Lines(said))
	s.start(r)
	testkit.Eventually(s.t, patience, "HAProxy knows relay "+r.name, func() error {
		if len(s.front.process.Log().Lines(said)) == before {
			return errors.New("it does not say so")
		}
		return nil
	})
}

// wantStatus waits until a relay says of the agent what is so.
func (s *stage) wantStatus(t *testing.T, r *relay, status string) {
	t.Helper()
	testkit.Eventually(t, patience, "relay "+r.name+" says that the agent is "+status, func() error {
		a, err := r.api.Agent(t.Context(), s.agentID)
		if err == nil && a.Status != status {
			err = fmt.Errorf("it says %s", a.Status)
		}
		return err
	})
}
