//go:build unix

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// slowApp is an application inside the site that begins to answer at once and
// ends when it is told to.
type slowApp struct {
	connection string // its connection's id
	begun      chan struct{}
	finish     chan struct{}
	requests   atomic.Int32
}

func newSlowApp(t *testing.T, s *stage) *slowApp {
	t.Helper()
	app := &slowApp{begun: make(chan struct{}, 8), finish: make(chan struct{}, 8)}
	serve(t, s.site.Listen(t, "127.0.0.1:8097"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			_, _ = io.WriteString(w, "quick")
			return
		}
		app.requests.Add(1)
		if r.URL.Path == "/answering" {
			_, _ = io.WriteString(w, "first ")
			_ = http.NewResponseController(w).Flush()
		}
		app.begun <- struct{}{}
		select {
		case <-app.finish:
			_, _ = io.WriteString(w, "last")
		case <-r.Context().Done():
		}
	}))
	// The relay's own pings would be among the requests that it counts.
	app.connection = s.save(t, s.sampleConnection("http://127.0.0.1:8097").with(object{"auth": object{"type": "none"}, "health": object{"off": true}}))
	return app
}

// begin sends a request in the background and returns when the application
// works on it.
func (a *slowApp) begin(t *testing.T, s *stage, method, path string) <-chan answer {
	t.Helper()
	r := s.proxyRequest(t, method, a.connection, path, nil)
	got := make(chan answer, 1)
	go func() {
		res, err := s.api.HTTP.Do(r)
		if err != nil {
			got <- answer{body: err.Error()}
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			b = append(b, err.Error()...)
		}
		got <- answer{res, string(b)}
	}()
	await(t, a.begun, "the application to receive the request")
	return got
}

// TestSignals: one SIGTERM lets the requests under way end, a second one ends
// the program at once, and SIGKILL leaves nobody in doubt about doubt.
func TestSignals(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	app := newSlowApp(t, s)

	// downTunnels counts tunnels that the agent asked to end.
	downTunnels := func() int { return len(s.relayLog.Lines("tunnel down", "the agent closed its tunnel")) }
	parts := []struct {
		name    string
		process func() *testkit.Process
		// stopping reports that the first signal has been understood.
		stopping func(before int) bool
		start    func()
	}{
		{"relay", func() *testkit.Process { return s.relay }, func(int) bool { return len(s.relay.Log().Lines("relay stopping")) > 0 },
			func() { s.relayLog = &testkit.Log{}; s.startRelay() }},
		{"agent", func() *testkit.Process { return s.agent }, func(before int) bool { return downTunnels() > before }, s.startAgent},
	}
	// restart starts a part again, and waits for both tunnels: one is busy
	// later, and one not.
	restart := func(t *testing.T, start func()) {
		t.Helper()
		up := len(s.relayLog.Lines("tunnel up"))
		log := s.relayLog
		start()
		if s.relayLog != log {
			up = 0
		}
		testkit.Eventually(t, time.Minute, "both tunnels are up", func() error {
			if n := len(s.relayLog.Lines("tunnel up")) - up; n < 2 {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
	}
	for _, part := range parts {
		t.Run("one SIGTERM of the "+part.name+" lets a request end", func(t *testing.T) {
			got := app.begin(t, s, "POST", "/answering")
			before := downTunnels()
			signal(t, part.process(), syscall.SIGTERM)
			testkit.Eventually(t, 20*time.Second, "it stops", func() error {
				if !part.stopping(before) {
					return fmt.Errorf("not yet")
				}
				return nil
			})
			app.finish <- struct{}{}
			if a := <-got; a.body != "first last" {
				t.Errorf("the request under way: %q", a.body)
			}
			await(t, part.process().Done(), "it to end")
			if err := part.process().Err(); err != nil {
				t.Errorf("exit status: %v, want 0", err)
			}
			restart(t, part.start)
		})
		t.Run("a second SIGTERM of the "+part.name+" ends it at once", func(t *testing.T) {
			got := app.begin(t, s, "POST", "/answering")
			before := downTunnels()
			signal(t, part.process(), syscall.SIGTERM)
			testkit.Eventually(t, 20*time.Second, "it stops", func() error {
				if !part.stopping(before) {
					return fmt.Errorf("not yet")
				}
				return nil
			})
			select {
			case <-part.process().Done():
				t.Fatal("it did not wait for the request")
			default:
			}
			signal(t, part.process(), syscall.SIGTERM)
			await(t, part.process().Done(), "it to end")
			if err := part.process().Err(); err == nil || err.Error() != "signal: terminated" {
				t.Errorf("exit status: %v, want that of the signal", err)
			}
			if a := <-got; strings.HasSuffix(a.body, "last") {
				t.Errorf("the request under way: %q", a.body)
			}
			restart(t, part.start)
		})
	}

	t.Run("a killed agent leaves a POST in doubt, and it is not sent again", func(t *testing.T) {
		got := app.begin(t, s, "POST", "/working")
		before := app.requests.Load()
		signal(t, s.agent, syscall.SIGKILL)
		a := <-got
		if a.Response == nil || a.StatusCode != http.StatusBadGateway || a.code() != "tunnel_lost" || !strings.Contains(a.body, `"outcome":"unknown"`) {
			t.Errorf("%+v", a)
		}
		restart(t, s.startAgent)
		if a := s.get(t, app.connection, "/quick"); a.body != "quick" {
			t.Errorf("afterwards: %d %s", a.StatusCode, a.body)
		}
		if n := app.requests.Load(); n != before {
			t.Errorf("it arrived %d times", 1+n-before)
		}
	})
}

func signal(t *testing.T, p *testkit.Process, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// realTimes asks for a minute's sleep where it otherwise is just long enough
// to be noticed.
const realTimes = "SALLYPORT_REAL_TIMES"

// TestSleepAndAnotherAddress: a laptop is closed and opened, a relay's machine
// is suspended, a site gets another address. Nobody does anything about it, and
// everything works again.
func TestSleepAndAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	app := newSlowApp(t, s)
	sleepOn := func() {
		if os.Getenv(realTimes) != "" {
			time.Sleep(time.Minute)
		}
	}
	worksAgain := func(t *testing.T) {
		t.Helper()
		began := time.Now()
		s.awaitAgent(t, "online")
		testkit.Eventually(t, 30*time.Second, "requests pass", func() error {
			if a := s.get(t, app.connection, "/quick"); a.body != "quick" {
				return fmt.Errorf("%d %s", a.StatusCode, a.body)
			}
			return nil
		})
		t.Logf("worked again after %s", time.Since(began).Round(time.Millisecond))
	}

	t.Run("the agent's machine sleeps", func(t *testing.T) {
		signal(t, s.agent, syscall.SIGSTOP)
		began := time.Now()
		s.awaitAgent(t, "offline")
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("noticed after %s", took)
		}
		sleepOn()
		signal(t, s.agent, syscall.SIGCONT)
		worksAgain(t)
	})

	t.Run("the relay's machine sleeps", func(t *testing.T) {
		before := len(s.agentLog.Lines("tunnel down", "no sign of life"))
		signal(t, s.relay, syscall.SIGSTOP)
		testkit.Eventually(t, 20*time.Second, "the agent notices", func() error {
			if n := len(s.agentLog.Lines("tunnel down", "no sign of life")); n == before {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		sleepOn()
		signal(t, s.relay, syscall.SIGCONT)
		worksAgain(t)
	})

	t.Run("the site gets another address", func(t *testing.T) {
		s.site.Move(t)
		worksAgain(t)
	})
}
