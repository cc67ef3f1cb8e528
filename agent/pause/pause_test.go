package pause

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *Switch {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// target counts what comes through.
type target struct{ requests atomic.Int32 }

func (a *target) RoundTrip(*http.Request) (*http.Response, error) {
	a.requests.Add(1)
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

func send(t *testing.T, s *Switch, a *target) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://erp.test", io.NopCloser(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Wrap(a).RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func TestPauseOutlivesARestartAndSaysWhy(t *testing.T) {
	dir, app := t.TempDir(), &target{}
	s := open(t, dir)
	if err := send(t, s, app); err != nil {
		t.Fatal(err)
	}
	p, err := s.Pause(" month-end closing ", 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir)
	got := s.Paused()
	if !got.Since.Equal(p.Since) || got.Reason != "month-end closing" {
		t.Errorf("after a restart: %+v, want %+v", got, p)
	}
	e := proto.AsError(send(t, s, app))
	if e == nil || e.Code != proto.CodeAgentPaused || e.Outcome != proto.OutcomeNotSent || !strings.Contains(e.Detail, "month-end closing") || e.Code.Status() != 503 {
		t.Errorf("got %v", e)
	}
	if n := app.requests.Load(); n != 1 {
		t.Errorf("%d requests reached the application, want the one before the pause", n)
	}
	// A second pause changes the reason, not the beginning.
	if again, err := s.Pause("still", time.Hour); err != nil || !again.Since.Equal(p.Since) || again.Until.IsZero() {
		t.Errorf("got %+v, %v", again, err)
	}
	if was, err := s.Resume(); err != nil || was.Reason != "still" {
		t.Errorf("got %+v, %v", was, err)
	}
	if err := send(t, s, app); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPauseEndsWhenItsTimeIsUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var told []proto.Paused
		s := open(t, dir)
		s.Watch(func(p proto.Paused) { told = append(told, p) })
		if _, err := s.Pause("", 30*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		if s.Paused().Since.IsZero() {
			t.Error("it ended early")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !s.Paused().Since.IsZero() {
			t.Error("it goes on")
		}
		if len(told) != 2 || told[0].Since.IsZero() || !told[1].Since.IsZero() {
			t.Errorf("told %+v", told)
		}
		// One that ran out while no agent ran.
		if _, err := s.Pause("", time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Close()
		time.Sleep(time.Hour)
		if next := open(t, dir); !next.Paused().Since.IsZero() {
			t.Error("it is paused after its time")
		}
	})
}

func TestDamagedFileIsAPause(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if p := s.Paused(); p.Since.IsZero() || !strings.Contains(p.Reason, File) {
		t.Errorf("got %+v", p)
	}
	if _, err := s.Resume(); err != nil || !s.Paused().Since.IsZero() {
		t.Errorf("it does not resume: %v", err)
	}
}

func TestUnsoundPauses(t *testing.T) {
	s := open(t, t.TempDir())
	s.Watch(func(proto.Paused) { t.Error("it has changed") })
	for _, c := range []struct {
		reason string
		lasts  time.Duration
	}{{strings.Repeat("x", 201), 0}, {"two\nlines", 0}, {"\xff", 0}, {"", -time.Second}, {"", 400 * 24 * time.Hour}} {
		if p, err := s.Pause(c.reason, c.lasts); err == nil {
			t.Errorf("%.10q, %v: got %+v", c.reason, c.lasts, p)
		}
	}
}
