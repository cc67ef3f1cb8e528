package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/agent/linefile"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var limits = linefile.Limits{Size: linefile.MinSize, Files: 2, Age: 24 * time.Hour}

func open(t *testing.T, o Options) *Logs {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFileAndStandardErrorSayTheSame(t *testing.T) {
	var out bytes.Buffer
	path := filepath.Join(t.TempDir(), "agent.log")
	l := open(t, Options{Level: "info", Format: "console", Err: &out, Path: path, Limits: limits})
	l.Logger().Named("link").With(zap.Int("slot", 1)).Info("tunnel up", zap.String("tunnel", "tun_1"))
	l.Logger().Debug("unseen")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "INFO  link  tunnel up") || strings.Contains(text, "unseen") {
		t.Errorf("standard error has %q", text)
	}
	var lines []string
	if err := linefile.NewReader(path, time.Time{}).Read(func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], `{"level":"info","time":`) || !strings.HasSuffix(lines[0], `"logger":"link","msg":"tunnel up","slot":1,"tunnel":"tun_1"}`) {
		t.Errorf("the file has %q", lines)
	}
}

func TestLevelChangesAndGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := open(t, Options{Level: "warn", Err: &out})
		if _, err := l.SetLevel("loud", 0); err == nil {
			t.Error("there is no such level")
		}
		if _, err := l.SetLevel("debug", 1000*time.Hour); err == nil {
			t.Error("that is too long")
		}
		got, err := l.SetLevel("debug", 10*time.Minute)
		if err != nil || got.Level != "debug" || got.Configured != "warn" || got.Until.IsZero() {
			t.Errorf("got %+v, %v", got, err)
		}
		l.Logger().Debug("first")
		time.Sleep(5 * time.Minute)
		if _, err := l.SetLevel("info", 10*time.Minute); err != nil { // the first time-out no longer counts
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		l.Logger().Info("second")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		l.Logger().Info("too late")
		if got := l.Level(); cmp.Diff(Level{Level: "warn", Configured: "warn"}, got) != "" {
			t.Errorf("it is %+v", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.Contains(text, "first") || !strings.Contains(text, "second") || strings.Contains(text, "too late") {
			t.Errorf("the log is %q", text)
		}
	})
}

// relay follows the log down a tunnel.
type relay struct {
	ended chan struct{}

	mu   sync.Mutex // guards the following
	got  []*proto.LogLines
	full bool
}

func newRelay() *relay { return &relay{ended: make(chan struct{})} }

func (r *relay) Tell(m proto.Control) error {
	raw, err := proto.EncodeControl(m)
	if err != nil {
		panic(fmt.Sprintf("it can't travel: %v", err))
	}
	back, err := proto.DecodeControl(raw)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return wsconn.ErrTextsPending
	}
	r.got = append(r.got, back.(*proto.LogLines))
	return nil
}

func (r *relay) Ended() <-chan struct{} { return r.ended }

func (r *relay) lines() (lines []proto.LogLine, dropped int, off bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		lines, dropped, off = append(lines, m.Lines...), dropped+m.Dropped, off || m.Off
	}
	return lines, dropped, off
}

func (r *relay) await(t *testing.T, n int) []proto.LogLine {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, fmt.Sprintf("%d lines arrive", n), func() error {
		if lines, _, _ := r.lines(); len(lines) < n {
			return fmt.Errorf("%d have", len(lines))
		}
		return nil
	})
	lines, _, _ := r.lines()
	return lines
}

func TestRelayFollowsWhatItAskedFor(t *testing.T) {
	l := open(t, Options{Level: "error", Remote: true, Scrub: func(s string) string { return strings.ReplaceAll(s, "hush", "(hidden)") }})
	defer l.Close()
	log, r := l.Logger().Named("forward").With(zap.String("agent", "agt_1")), newRelay()
	log.Error("nobody follows")
	l.Tail().Follow("warn", r)
	log.Warn("password is hush", zap.String("key", "hush"), zap.Duration("duration", 1500*time.Microsecond))
	log.Info("not asked for")
	lines := r.await(t, 1)
	if len(lines) != 1 || lines[0].Message != "password is (hidden)" || lines[0].Logger != "forward" || lines[0].Level != "warn" {
		t.Errorf("got %+v", lines)
	}
	var fields map[string]any
	if err := json.Unmarshal(lines[0].Fields, &fields); err != nil || cmp.Diff(map[string]any{"agent": "agt_1", "key": "(hidden)", "duration": 1.5}, fields) != "" {
		t.Errorf("fields %s, %v", lines[0].Fields, err)
	}
	l.Tail().Follow("debug", r)
	log.Debug("all", zap.String("long", strings.Repeat("x", 2*proto.MaxLogFields)))
	log.Info(strings.Repeat("ü", proto.MaxLogMessage))
	if lines = r.await(t, 3); !strings.Contains(string(lines[1].Fields), "too long") || len(lines[2].Message) > proto.MaxLogMessage || !strings.HasSuffix(lines[2].Message, "ü") {
		t.Errorf("got %.300v", lines[1:])
	}
	l.Tail().Follow("", r)
	log.Error("no longer")
	if l.Tail().core().Enabled(zap.ErrorLevel) {
		t.Error("somebody is still listened for")
	}
	// One that goes without a word.
	l.Tail().Follow("debug", r)
	close(r.ended)
	testkit.Eventually(t, 10*time.Second, "the reader is forgotten", func() error {
		if l.Tail().core().Enabled(zap.ErrorLevel) {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if lines, _, _ := r.lines(); len(lines) != 3 {
		t.Errorf("%d lines, want 3", len(lines))
	}
}

func TestFloodIsNeitherKeptNorSent(t *testing.T) {
	l := open(t, Options{Level: "error", Remote: true})
	defer l.Close()
	r := newRelay()
	r.full = true // of what is more important
	l.Tail().Follow("debug", r)
	began := time.Now()
	for i := range 20_000 {
		l.Logger().Debug("request served", zap.Int("n", i))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20000 lines took %v", took)
	}
	r.mu.Lock()
	r.full = false
	r.mu.Unlock()
	testkit.Eventually(t, 20*time.Second, "every line is there, or counted", func() error {
		lines, dropped, _ := r.lines()
		if len(lines)+dropped != 20_000 {
			return fmt.Errorf("%d are there, %d dropped", len(lines), dropped)
		}
		if len(lines) > 3*mostWaiting {
			t.Fatalf("%d lines were kept", len(lines))
		}
		return nil
	})
}

func TestSiteThatDoesNotShareItsLogSaysSo(t *testing.T) {
	l := open(t, Options{Level: "info"})
	defer l.Close()
	r := newRelay()
	l.Tail().Follow("info", r)
	l.Logger().Error("private")
	if lines, _, off := r.lines(); !off || len(lines) > 0 {
		t.Errorf("off %v, %d lines", off, len(lines))
	}
	if l.Tail().core().Enabled(zap.ErrorLevel) {
		t.Error("lines are gathered")
	}
}

func TestUnsoundOptions(t *testing.T) {
	for _, o := range []Options{{Level: "loud"}, {Format: "xml", Err: &bytes.Buffer{}}, {Path: "x"}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
