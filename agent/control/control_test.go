package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStatusIsAnsweredToTheOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	want := Status{State: "online", Agent: "Plant 2", Tunnels: []Tunnel{{ID: "tun_1", LatencyMs: 1.5}}, InFlight: 3}
	s, err := Serve(dir, Agent{Status: func() Status { return want }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Ask(t.Context(), dir)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustRequest(t, s))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: status %d", resp.StatusCode)
	}
	left, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Ask(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Close: %v", err)
	}
	// A killed agent leaves its file behind.
	if err := os.WriteFile(filepath.Join(dir, File), left, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after a kill: %v", err)
	}
}

// One that is halted still has its port: connections to it are made, and stay
// without an answer.
func TestAnAgentThatHangsIsNotTakenForOneThatDoesNotRun(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	text, err := json.Marshal(endpoint{Address: l.Addr().String(), Token: "t", PID: 4711})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, dir); err == nil || errors.Is(err, ErrNotRunning) ||
		!strings.Contains(err.Error(), "process 4711") || !strings.Contains(err.Error(), "Restart it") {
		t.Errorf("got %v", err)
	}
}

func TestAgentDoesWhatItIsTold(t *testing.T) {
	dir := t.TempDir()
	type asked struct{ Reason string }
	do := func(_ context.Context, in asked) (string, error) {
		if in.Reason == "" {
			return "", errors.New("a reason is needed")
		}
		return "because of " + in.Reason, nil
	}
	var out string
	if err := Tell(t.Context(), dir, "/do", asked{}, &out); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no agent runs: %v", err)
	}
	s, err := Serve(dir, Agent{}, On("/do", do))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := Tell(t.Context(), dir, "/do", asked{"x"}, &out); err != nil || out != "because of x" {
		t.Errorf("got %q, %v", out, err)
	}
	for path, c := range map[string]struct {
		in   any
		want string
	}{
		"/do":    {asked{}, "a reason is needed"},
		"/other": {asked{}, "older version"},
	} {
		if err := Tell(t.Context(), dir, path, c.in, &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := Tell(t.Context(), dir, "/do", []int{1}, &out); err == nil || !strings.Contains(err.Error(), "does not understand") {
		t.Errorf("got %v", err)
	}
}

func mustRequest(t *testing.T, s *Server) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.address+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
