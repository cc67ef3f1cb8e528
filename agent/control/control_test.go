package control

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

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

func mustRequest(t *testing.T, s *Server) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.address+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
