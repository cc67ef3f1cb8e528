package systemd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"sallyport/internal/testkit"
)

// screen is what somebody at a terminal sees.
type screen struct {
	mu   sync.Mutex // guards the following
	seen bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.seen.String(), "\r\n", "\n")
}

// atTerminal runs a program on the machine as somebody at a terminal does: each
// time that it asks, the next answer is typed. It returns all that was shown.
func (m *machine) atTerminal(t *testing.T, question string, answers []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd, cancel := m.command(nil, name, args...)
	defer cancel()
	keys, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var shown screen
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&shown, keys) // until the program has ended
	}()
	for i, answer := range answers {
		testkit.Eventually(t, 60*time.Second, "it asks", func() error {
			if strings.Count(shown.text(), question) <= i {
				return errors.New(shown.text())
			}
			return nil
		})
		if _, err := io.WriteString(keys, answer); err != nil {
			t.Fatal(err)
		}
	}
	err = cmd.Wait()
	<-done
	_ = keys.Close()
	return shown.text(), err
}
