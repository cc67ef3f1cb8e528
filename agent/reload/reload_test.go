package reload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sallyport/agent/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a machine with an agent.yaml.
type site struct {
	t    *testing.T
	file string
	logs *observer.ObservedLogs
	*Keeper

	mu     sync.Mutex // guards the following
	taken  []config.Config
	forced int
	told   []State
	refuse error
}

func newSite(t *testing.T, file, text string) *site {
	t.Helper()
	if text != "" {
		write(t, file, text)
	}
	core, logs := observer.New(zap.DebugLevel)
	s := &site{t: t, file: file, logs: logs}
	load := func() (config.Config, error) {
		return config.Load(config.Sources{Flags: map[string]string{"data": filepath.Dir(file)}})
	}
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	s.Keeper = New(c, Options{File: file, Load: load, Take: s.take, Log: zap.New(core), Quiet: 20 * time.Millisecond, LookEvery: time.Hour,
		Changed: func(st State) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, st)
		}})
	return s
}

func (s *site) take(_, after config.Config, forced bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	s.taken = append(s.taken, after)
	if forced {
		s.forced++
	}
	return nil
}

// follow runs the Keeper until the test ends.
func (s *site) follow(signals <-chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx, signals) }()
	s.t.Cleanup(func() { cancel(); <-done })
}

func (s *site) until(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within 20 s: %s; state %+v", what, s.State())
		}
	}
}

// level is that of the configuration in use, "" before any was taken.
func (s *site) level() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) == 0 {
		return ""
	}
	return s.taken[len(s.taken)-1].LogLevel
}

func (s *site) warnings() int {
	return s.logs.FilterMessage("configuration not taken; the one before stays in use").Len()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace is write at one stroke.
func replace(t *testing.T, file, text string) {
	t.Helper()
	write(t, file+".new", text)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestChangesAreSeenHoweverTheyAreMade(t *testing.T) {
	for _, c := range []struct {
		name   string
		links  bool
		first  string
		change func(t *testing.T, file, text string)
	}{
		{"written in place", false, "logLevel: info\n", write},
		{"replaced by an editor", false, "logLevel: info\n", replace},
		{"moved away and written anew", false, "logLevel: info\n", func(t *testing.T, file, text string) {
			if err := os.Rename(file, file+"~"); err != nil {
				t.Fatal(err)
			}
			write(t, file, text)
		}},
		{"made while the agent runs", false, "", write},
		{"behind a link to another directory", true, "logLevel: info\n", func(t *testing.T, file, text string) {
			target, err := os.Readlink(file)
			if err != nil {
				target = filepath.Join(t.TempDir(), "real.yaml")
				write(t, target, text)
				_ = os.Remove(file)
				if err := os.Symlink(target, file); err != nil {
					t.Fatal(err)
				}
				return
			}
			replace(t, target, text)
		}},
		{"exchanged as a volume of Kubernetes does it", true, "", func(t *testing.T, file, text string) {
			dir := filepath.Dir(file)
			version, err := os.MkdirTemp(dir, "..2026_")
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(version, config.FileName), text)
			if err := os.Symlink(filepath.Base(version), filepath.Join(dir, "..data_tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(file); err != nil {
				if err := os.Symlink(filepath.Join("..data", config.FileName), file); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.links && runtime.GOOS == "windows" {
				t.Skip("links need a privilege on Windows")
			}
			s := newSite(t, filepath.Join(t.TempDir(), config.FileName), c.first)
			s.follow(nil)
			for _, level := range []string{"warn", "debug", "error"} {
				c.change(t, s.file, "logLevel: "+level+"\n")
				s.until(level+" is in use", func() bool { return s.level() == level })
			}
			if st := s.State(); st.Err != nil || st.File != s.file || len(st.Version) != 8 {
				t.Errorf("state %+v", st)
			}
		})
	}
}

func TestFaultyEditKeepsWhatIsInUse(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), config.FileName), "logLevel: warn\n")
	s.follow(nil)
	version := s.State().Version
	replace(t, s.file, "logLevle: debug\nproxy: none\nproxy: none\n")
	s.until("the faults are known", func() bool { return s.State().Err != nil })
	st := s.State()
	want := s.file + ":1: unknown key \"logLevle\"; did you mean \"logLevel\"?\n" + s.file + ":3: key \"proxy\" stands on line 2 already"
	if st.Err.Error() != want || st.Version != version || st.Since.IsZero() || s.level() != "" {
		t.Errorf("state %+v, level %q", st, s.level())
	}
	// The same edit is said once, however often the file is looked at.
	for range 3 {
		s.check(true)
	}
	replace(t, s.file, "logLevle: debug\nproxy: none\nproxy: none\n")
	s.check(false)
	if n := s.warnings(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	// Another faulty one is said too, and lasts since the first.
	replace(t, s.file, "logLevel: loud\n")
	s.until("the other fault is known", func() bool { return strings.Contains(s.State().Err.Error(), "loud") })
	if now := s.State(); now.Since != st.Since || s.warnings() != 2 {
		t.Errorf("state %+v, %d warnings", now, s.warnings())
	}
	replace(t, s.file, "logLevel: error\n")
	s.until("the good edit is in use", func() bool { return s.level() == "error" })
	if st := s.State(); st.Err != nil || !st.Since.IsZero() || st.Version == version {
		t.Errorf("state %+v", st)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) != 3 || s.told[1].Err == nil || s.told[2].Err != nil {
		t.Errorf("told %+v", s.told)
	}
}

// A file that is cut short on the way would open what its policy closes.
func TestVanishedFileIsAnAccident(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"removed": os.Remove,
		"emptied": func(file string) error { return os.Truncate(file, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			const text = "policy:\n  rules:\n    - allow GET https://erp.test\n"
			s := newSite(t, filepath.Join(t.TempDir(), config.FileName), text)
			s.follow(nil)
			if err := spoil(s.file); err != nil {
				t.Fatal(err)
			}
			s.until("it is missed", func() bool { return errors.Is(s.State().Err, ErrVanished) })
			if st := s.Reload("command"); !errors.Is(st.Err, ErrVanished) {
				t.Errorf("asked for: %+v", st)
			}
			write(t, s.file, text)
			s.until("it is back", func() bool { return s.State().Err == nil })
		})
	}
}

func TestSignalsAndCommandsReadTheFilesAnew(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), config.FileName), "logLevel: warn\n")
	signals := make(chan os.Signal, 1)
	s.follow(signals)
	signals <- os.Interrupt // any
	s.until("the signal has been heard", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.forced == 1
	})
	if st := s.Reload("command"); st.Err != nil || s.forced != 2 {
		t.Errorf("%+v, forced %d", st, s.forced)
	}
	s.mu.Lock()
	s.refuse = errors.New("caFile: open /nowhere: no such file")
	s.mu.Unlock()
	if st := s.Reload("command"); !errors.Is(st.Err, s.refuse) {
		t.Errorf("%+v", st)
	}
	// What was missing is there now; nobody has to say so.
	s.mu.Lock()
	s.refuse = nil
	s.mu.Unlock()
	s.check(true)
	if st := s.State(); st.Err != nil {
		t.Errorf("%+v", st)
	}
}

func TestRestartKeysStayAsTheyWere(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), config.FileName), "relay: https://one.test\n")
	write(t, s.file, "relay: https://two.test\nlogLevel: debug\n")
	st := s.Reload("command")
	if diff := cmp.Diff([]string{"relay"}, st.Restart); diff != "" || s.taken[0].Relay != "https://one.test" || s.level() != "debug" {
		t.Errorf("%s%+v", diff, s.taken)
	}
	if st := s.Reload("command"); len(st.Restart) != 1 {
		t.Errorf("forgotten: %+v", st)
	}
	write(t, s.file, "relay: https://one.test\n")
	if st := s.Reload("command"); len(st.Restart) != 0 {
		t.Errorf("taken back: %+v", st)
	}
}

// Without notices of the system, as from some network file systems, the file is
// looked at now and then.
func TestFileIsLookedAtNowAndThen(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "not", "there", "yet", config.FileName), "")
	s.opts.LookEvery = 10 * time.Millisecond
	s.follow(nil)
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, s.file, "logLevel: debug\n")
	s.until("it is seen", func() bool { return s.level() == "debug" })
}
