//go:build unix

package scale

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// agents is how many agents the test runs: 1 000, or what SALLYPORT_AGENTS
// says. The full form, 10 000, is a step of its own in CI; it takes some three
// minutes, since it also waits until memory can be measured.
func agents(t testing.TB) (n int, full bool) {
	text := os.Getenv("SALLYPORT_AGENTS")
	if text == "" {
		return 1000, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SALLYPORT_AGENTS: %q is no number of agents", text)
	}
	return n, true
}

// memoryLimit is how much of the relay's memory an idle agent with its two
// tunnels may cost, in bytes, where there are thousands of them. With TLS of the
// relay's own each tunnel holds a goroutine, and buffers.
func memoryLimit() float64 {
	if secured() {
		return 80 << 10
	}
	return 25 << 10
}

// TestAgentsOfOneRelay: thousands of agents are online at one relay, cost it
// little, each answers, and after the relay was killed and started again all
// are back soon, without a spike of errors.
func TestAgentsOfOneRelay(t *testing.T) {
	n, full := agents(t)
	s := newStage(t, n)
	before := s.metrics()
	s.startSites()
	s.awaitWhole("online", 5*time.Minute)
	if full {
		s.measureMemory("idle, before any request", before)
	}
	s.askEach()
	if full {
		s.awaitRest()
		s.measureMemory("idle again, after a request each", before)
	}

	s.reset()
	s.killRelay()
	s.startRelay()
	r := s.awaitWhole("online again", 5*time.Minute)
	if last := time.Duration(slices.Max(r.Firsts)) * time.Millisecond; last > backWithin {
		t.Errorf("the last agent was back after %s", last)
	}
	// Some find the relay gone, some are told to come a little later.
	if failed := total(r.Failures); failed > 4*2*n || r.Most > 20 {
		t.Errorf("%d attempts failed, at one agent %d: %v", failed, r.Most, r.Failures)
	}
	s.askEach()
	s.killRelay() // one that stops in order would write down for minutes that all of them are gone, where the machine is busy
}

func (s *stage) killRelay() {
	s.t.Helper()
	if err := s.relay.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.relay.Done()
}

// backWithin is how long after the relay was killed all are back at the latest.
// With 10 000 agents and their relay on two processors that did other things, too,
// it was 32 s and 37 s.
const backWithin = time.Minute

func total(failures map[string]int) (n int) {
	for _, k := range failures {
		n += k
	}
	return n
}

// awaitWhole waits until every agent has all of its tunnels, and says how it went.
func (s *stage) awaitWhole(what string, within time.Duration) report {
	t := s.t
	t.Helper()
	testkit.Eventually(t, within, "all agents are "+what, func() error {
		time.Sleep(200 * time.Millisecond) // each look costs what it looks at
		if r := s.report(); r.Whole != s.n {
			return fmt.Errorf("%d of %d are; %v", r.Whole, s.n, r.Failures)
		}
		return nil
	})
	r := s.report()
	at := func(times []int, part float64) time.Duration {
		slices.Sort(times)
		return time.Duration(times[int(part*float64(len(times)-1))]) * time.Millisecond
	}
	t.Logf("%d agents %s: half after %s, 90 %% after %s, all after %s; all of their %d tunnels after %s; %d attempts failed, at one agent at most %d: %v",
		s.n, what, at(r.Firsts, .5), at(r.Firsts, .9), at(r.Firsts, 1), r.Tunnels, at(r.Ups, 1), total(r.Failures), r.Most, r.Failures)
	return r
}

// awaitRest waits until tunnels that were used are at rest again: streams are
// kept for half a minute after their last request.
func (s *stage) awaitRest() {
	s.t.Helper()
	atRest := 0 // goroutines
	if secured() {
		atRest = 2*s.n - s.single
	}
	testkit.Eventually(s.t, 2*time.Minute, "all tunnels rest", func() error {
		time.Sleep(200 * time.Millisecond)
		if n := s.metrics()["go_goroutines"]; n > float64(atRest+s.n/10+100) {
			return fmt.Errorf("%.0f goroutines", n)
		}
		return nil
	})
}

// measureMemory waits until the relay holds no more for each agent than the
// limit, since what a crowd has cost it goes back to the system bit by bit, and
// says what an agent costs.
func (s *stage) measureMemory(when string, before map[string]float64) {
	t := s.t
	t.Helper()
	var now map[string]float64
	each := func(names ...string) float64 {
		sum := 0.0
		for _, name := range names {
			sum += now[name] - before[name]
		}
		return sum / float64(s.n) / 1024
	}
	const resident = "process_resident_memory_bytes"
	began := time.Now()
	testkit.Eventually(t, 2*time.Minute, fmt.Sprintf("%s, each of %d agents costs no more than %d KiB", when, s.n, int(memoryLimit())>>10), func() error {
		time.Sleep(5 * time.Second) // asking makes garbage
		now = s.metrics()
		if cost := each(resident); cost > memoryLimit()/1024 || time.Since(began) < 30*time.Second {
			return fmt.Errorf("%.1f KiB; heap %.1f, collected at %.1f, held for later %.1f, stacks %.1f", cost, each("go_memstats_heap_alloc_bytes"),
				each("go_memstats_next_gc_bytes"), each("go_memstats_heap_idle_bytes")-each("go_memstats_heap_released_bytes"), each("go_memstats_stack_inuse_bytes"))
		}
		return nil
	})
	t.Logf("%s, each of %d agents costs the relay %.1f KiB resident, %s later (heap %.1f, which is collected at %.1f; held for later %.1f; stacks %.1f; %.2f goroutines)",
		when, s.n, each(resident), time.Since(began).Round(time.Second), each("go_memstats_heap_alloc_bytes"), each("go_memstats_next_gc_bytes"),
		each("go_memstats_heap_idle_bytes")-each("go_memstats_heap_released_bytes"), each("go_memstats_stack_inuse_bytes"), each("go_goroutines")*1024)
}

// askEach tests an unsaved connection through every agent: it signs in to an
// application and asks who is signed in.
func (s *stage) askEach() {
	t := s.t
	t.Helper()
	began := time.Now()
	var next, failed atomic.Int32
	var asking sync.WaitGroup
	for range 16 {
		asking.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.n; i = int(next.Add(1)) - 1 {
				if err := s.ask(s.ids[i].AgentID); err != nil && failed.Add(1) < 10 {
					t.Errorf("agent %d: %v", i, err)
				}
			}
		})
	}
	asking.Wait()
	t.Logf("%d agents answered in %s, %d did not", s.n-int(failed.Load()), time.Since(began).Round(time.Millisecond), failed.Load())
}

type object map[string]any

func (s *stage) ask(agentID string) error {
	var result struct {
		OK    bool
		Steps []struct{ Name, Status, Message string }
	}
	err := s.api.Do(s.t.Context(), "POST", "/api/v1/connections/test", object{
		"name": "Site", "mode": "on-premise", "agentId": agentID, "baseUri": s.door, "mediaType": "json",
		"auth": object{"type": "cookie", "cookie": object{"method": "POST", "uri": "/session", "body": "{}"}},
		"ping": object{"method": "GET", "uri": "/me", "successPath": "ok", "successValues": []string{"true"}},
	}, &result)
	if err == nil && !result.OK {
		err = fmt.Errorf("%+v", result.Steps)
	}
	return err
}
