//go:build unix

package cli

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"sallyport/agent/config"
	"sallyport/agent/service"
	"sallyport/internal/testkit"
)

// terminal is one that somebody sits at: what he types, and all that he sees.
type terminal struct {
	t       *testing.T
	keys    *os.File // his end
	program *os.File // the program's

	mu   sync.Mutex // guards the following
	seen bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, program, err := pty.Open()
	if err != nil {
		testkit.Missing(t, "a pseudo terminal", err.Error())
	}
	tm := &terminal{t: t, keys: keys, program: program}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(tm, keys) // until both ends are closed
	}()
	t.Cleanup(func() {
		_ = program.Close()
		_ = keys.Close()
		<-done
	})
	return tm
}

func (tm *terminal) Write(p []byte) (int, error) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.seen.Write(p)
}

// screen is all that was shown, as text.
func (tm *terminal) screen() string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return strings.ReplaceAll(tm.seen.String(), "\r\n", "\n")
}

// answer waits until the program has asked n times, and types.
func (tm *terminal) answer(n int, keys string) {
	tm.t.Helper()
	testkit.Eventually(tm.t, 20*time.Second, "the question", func() error {
		if strings.Count(tm.screen(), "allow> ") < n {
			return errors.New(tm.screen())
		}
		return nil
	})
	if _, err := io.WriteString(tm.keys, keys); err != nil {
		tm.t.Fatal(err)
	}
}

// install runs install at the terminal, while type types.
func (tm *terminal) install(m *machine, typing func(), args ...string) (status int) {
	tm.t.Helper()
	done := make(chan int)
	go func() {
		done <- Main(append([]string{"install", "--proxy", "none"}, args...), World{In: tm.program, Out: tm.program, Err: tm.program,
			Env: func(name string) (string, bool) {
				if name == "SALLYPORT_CODE" {
					return "GOOD", true
				}
				return "", false
			},
			Host: func(string) (service.Host, error) { return m, nil }})
	}()
	typing()
	status = <-done
	const end = "=== it has ended"
	if _, err := io.WriteString(tm.program, end); err != nil {
		tm.t.Fatal(err)
	}
	testkit.Eventually(tm.t, 20*time.Second, "all is on the screen", func() error {
		if !strings.HasSuffix(tm.screen(), end) {
			return errors.New("it is not")
		}
		return nil
	})
	return status
}

func TestOnATerminalInstallAsksForTheFirstRules(t *testing.T) {
	relay, _ := wholeRelay(t)
	m, tm := newMachine(t), newTerminal(t)
	status := tm.install(m, func() {
		tm.answer(1, "erp.test\n")
		tm.answer(2, "https://erp.tast\x7f\x7f\x7f\x7ftest/**\n") // mistyped, and mended by the terminal
		tm.answer(3, "GET http://10.0.0.9:8080/\n")
		tm.answer(4, "\n")
	}, "--relay", relay)
	screen := tm.screen()
	if status != 0 || !strings.Contains(screen, "What may the relay reach through this agent?") || !strings.Contains(screen, "[everything that this machine can reach]") ||
		!strings.Contains(screen, "The relay may reach: allow GET http://10.0.0.9:8080/") || !strings.Contains(screen, "Online as ") {
		t.Fatalf("exit status %d:\n%s", status, screen)
	}
	c, err := config.Load(config.Sources{File: m.layout.Config()})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, line := range c.Policy.Rules {
		rules = append(rules, line.Text)
	}
	if got := strings.Join(rules, "\n"); got != "allow * https://erp.test\nallow GET http://10.0.0.9:8080/" {
		t.Errorf("the rules are\n%s", got)
	}

	// Who is enrolled already, or has named rules, is asked nothing.
	tm = newTerminal(t)
	if status := tm.install(m, func() {}); status != 0 || strings.Contains(tm.screen(), "allow> ") {
		t.Errorf("upgrade: exit status %d:\n%s", status, tm.screen())
	}
	tm = newTerminal(t)
	if status := tm.install(newMachine(t), func() {}, "--relay", relay, "--allow", "https://erp.test/**"); status != 0 || strings.Contains(tm.screen(), "allow> ") {
		t.Errorf("--allow: exit status %d:\n%s", status, tm.screen())
	}
}

func TestAnEmptyAnswerOnATerminalLeavesAllOpenAndSaysSo(t *testing.T) {
	relay, _ := wholeRelay(t)
	m, tm := newMachine(t), newTerminal(t)
	status := tm.install(m, func() { tm.answer(1, "\n") }, "--relay", relay)
	if status != 0 || !strings.Contains(tm.screen(), "No policy: the relay may reach everything") || !strings.Contains(tm.screen(), "Rules go into "+m.layout.Config()) {
		t.Errorf("exit status %d:\n%s", status, tm.screen())
	}
}

// TestCtrlCLeavesAQuestion at once, though a read from a terminal can't be broken
// off: of a process of its own, whose terminal it is.
func TestCtrlCLeavesAQuestion(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Args = []string{"sallyport-agent", "trust", server.URL, "--data", t.TempDir()} // see TestMain
	keys, err := pty.Start(cmd)
	if err != nil {
		testkit.Missing(t, "a pseudo terminal", err.Error())
	}
	tm := &terminal{t: t, keys: keys}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(tm, keys)
	}()
	testkit.Eventually(t, 20*time.Second, "it asks", func() error {
		if !strings.Contains(tm.screen(), "[y/N]") {
			return errors.New(tm.screen())
		}
		return nil
	})
	const interrupt = "\x03" // Ctrl-C
	if _, err := io.WriteString(keys, interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
		t.Error("it goes on asking")
	}
	_ = keys.Close()
	<-done
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(tm.screen(), "Nothing was pinned.") {
		t.Errorf("%v:\n%s", err, tm.screen())
	}
}

func TestAQuestionThatIsLeftInstallsNothing(t *testing.T) {
	relay, _ := wholeRelay(t)
	m, tm := newMachine(t), newTerminal(t)
	const endOfInput = "\x04" // Ctrl-D
	status := tm.install(m, func() { tm.answer(1, "https://erp.test/**\n"); tm.answer(2, endOfInput) }, "--relay", relay)
	if status == 0 || !strings.Contains(tm.screen(), "nothing was changed") || len(m.does) > 0 || len(m.left()) > 0 {
		t.Errorf("exit status %d, it did %v, and left %v:\n%s", status, m.does, m.left(), tm.screen())
	}
}
