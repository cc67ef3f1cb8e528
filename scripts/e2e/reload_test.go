//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestReload: the agent takes edits of its agent.yaml while a request lasts, and
// keeps what it has where one is faulty.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newStage(t, "")
	app := newSlowApp(t, s)
	lasting := app.begin(t, s, "GET", "/answering")
	file := filepath.Join(s.agentData, "agent.yaml")
	edit := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	logged := func(text string, times int) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, fmt.Sprintf("%q is logged %d times", text, times), func() error {
			if n := len(s.agentLog.Lines(text)); n < times {
				return fmt.Errorf("%d times", n)
			}
			return nil
		})
	}

	edit("proxy: none\npolicy:\n  rules:\n    - allow * http://127.0.0.1:8097/**\n")
	logged("configuration taken", 1)
	logged("tunnel up", 4) // both were replaced
	if err := s.agent.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged("configuration taken", 2)

	edit("prxoy: none\npolicy:\n  rules:\n    - alow * http://hidden.test\n")
	logged("configuration not taken", 1)
	status := testkit.Start(t, testkit.ProcessOptions{Name: "status", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site, Args: []string{"status", "--json", "--data", s.agentData}})
	if err := status.Err(); err != nil || !strings.Contains(status.Log().String(), `:1: unknown key \"prxoy\"; did you mean \"proxy\"?`) {
		t.Errorf("status: %v, %s", err, status.Log())
	}
	again := testkit.Start(t, testkit.ProcessOptions{Name: "reload", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site, Args: []string{"reload", "--data", s.agentData}})
	if err := again.Err(); err == nil || !strings.Contains(again.Log().String(), "what was in use before stays in use") {
		t.Errorf("reload: %v, %s", err, again.Log())
	}
	testkit.Eventually(t, 20*time.Second, "the relay knows of the faulty edit", func() error {
		r, err := s.api.Request(within(t, 10*time.Second), "GET", "/api/v1/agents/"+s.agentID, nil)
		if err != nil {
			return err
		}
		if got := s.send(t, r).body; !strings.Contains(got, "agent.yaml:4: policy: this rule can't be read") || strings.Contains(got, "hidden.test") {
			return fmt.Errorf("it says %s", got)
		}
		return nil
	})

	app.finish <- struct{}{}
	if got := <-lasting; got.body != "first last" {
		t.Errorf("the lasting request: %q", got.body)
	}
}
