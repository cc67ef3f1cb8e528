//go:build unix

package records

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// patience is how long anything may take that should take a moment.
const patience = 60 * time.Second

// stage is a relay and an agent of it, on this machine.
type stage struct {
	t         *testing.T
	api       *apiclient.Client
	relayArgs []string
	relay     *testkit.Process
	agentID   string
	data      string // the agent's
	agent     *testkit.Process
	log       *testkit.Log // of the agent, over restarts
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	s := &stage{t: t, data: filepath.Join(dir, "agent"), log: &testkit.Log{},
		api:       &apiclient.Client{Base: "http://" + address, Token: "sally_e2e" + rand.Text(), HTTP: &http.Client{Transport: transport}},
		relayArgs: []string{"serve", "--listen", address, "--public-url", "http://" + address, "--data", filepath.Join(dir, "relay"), "--log-format", "json"}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent wrote:\n%s", s.log.Tail(60))
		}
	})
	s.startRelay()
	agent, err := s.api.CreateAgent(t.Context(), "Plant 2")
	if err != nil {
		t.Fatal(err)
	}
	s.agentID = agent.ID
	code, err := s.api.EnrolmentCode(t.Context(), s.agentID)
	if err != nil {
		t.Fatal(err)
	}
	s.command("enroll", "--relay", s.api.Base, "--code", code)
	return s
}

func (s *stage) startRelay() {
	s.t.Helper()
	s.relay = testkit.Start(s.t, testkit.ProcessOptions{Name: "relay", Path: filepath.Join(bin, "sallyport-relay"), Args: s.relayArgs,
		Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + s.api.Token}})
	if err := s.api.AwaitReady(within(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

// startAgent starts the agent and waits until it is online.
func (s *stage) startAgent(args ...string) {
	s.t.Helper()
	s.agent = testkit.Start(s.t, testkit.ProcessOptions{Name: "agent", Path: filepath.Join(bin, "sallyport-agent"), Log: s.log,
		Args: append([]string{"run", "--data", s.data}, args...)})
	s.await("online")
}

func (s *stage) await(status string) {
	s.t.Helper()
	if err := s.api.AwaitAgent(within(s.t), s.agentID, status); err != nil {
		s.t.Fatal(err)
	}
}

// end ends the agent by a signal.
func (s *stage) end(signal syscall.Signal) {
	s.t.Helper()
	if err := s.agent.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	<-s.agent.Done()
}

// command runs one of the agent's commands and returns what it printed.
func (s *stage) command(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "sallyport-agent"), append(args, "--data", s.data)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("sallyport-agent %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// connection saves a connection to an application and returns its id.
func (s *stage) connection(baseURI string) string {
	s.t.Helper()
	var saved struct {
		ID string `json:"id"`
	}
	if err := s.api.Do(s.t.Context(), "POST", "/api/v1/connections", map[string]any{"name": "App", "mode": "on-premise", "agentId": s.agentID,
		"baseUri": baseURI, "auth": map[string]string{"type": "none"}}, &saved); err != nil {
		s.t.Fatal(err)
	}
	return saved.ID
}

// send sends a request through a connection.
func (s *stage) send(method, connection, path, body string) (status int, text string) {
	s.t.Helper()
	r, err := s.api.Request(s.t.Context(), method, "/api/v1/connections/"+connection+"/proxy/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Sallyport-Caller", "user somebody else")
	res, err := s.api.HTTP.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// happening is one line of the agent's history.
type happening struct {
	Online                bool
	At                    time.Time
	Reason, Cause, Detail string
}

// explained waits until the newest going in the history has a cause.
func (s *stage) explained(cause, detail string) happening {
	s.t.Helper()
	var last happening
	testkit.Eventually(s.t, patience, "the relay knows that it was "+cause, func() error {
		var list struct{ Items []happening }
		if err := s.api.Do(s.t.Context(), "GET", "/api/v1/agents/"+s.agentID+"/history", nil, &list); err != nil {
			return err
		}
		for _, h := range list.Items {
			if h.Online {
				continue
			}
			if last = h; h.Cause == cause && strings.Contains(h.Detail, detail) {
				return nil
			}
			return fmt.Errorf("it knows %+v", h)
		}
		return fmt.Errorf("it was never offline: %+v", list.Items)
	})
	return last
}

func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.data, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
