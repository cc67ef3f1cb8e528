package secret

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/proto"
)

// valueOf is the value of the only secret.
func valueOf(t *testing.T, st *Store) (string, *proto.Error) {
	t.Helper()
	e := st.current.Load()
	return st.value(t.Context(), e, e.held["p"])
}

func only(s Source) Settings { return Settings{Secrets: map[string]Source{"p": s}} }

func TestFile(t *testing.T) {
	for text, want := range map[string]string{"hunter2!": "hunter2!", "hunter2!\n": "hunter2!", "hunter2!\r\n": "hunter2!", " a b \n\n": " a b \n"} {
		if got, err := valueOf(t, newStore(t, only(Source{File: privateFile(t, text)}), Options{})); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		path   string
		reason proto.Reason
		want   string
	}{
		"absent":    {filepath.Join(dir, "absent"), proto.ReasonSecretFile, "does not exist"},
		"directory": {dir, proto.ReasonSecretFile, "no regular file"},
		"empty":     {privateFile(t, "\n"), proto.ReasonSecretEmpty, "is empty"},
		"too long":  {privateFile(t, strings.Repeat("x", maxValue+1)), proto.ReasonSecretEmpty, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := valueOf(t, newStore(t, only(Source{File: test.path}), Options{}))
			if e := wantError(t, err, proto.CodeSecretUnavailable, test.reason); !strings.Contains(e.Detail, test.want) || !strings.Contains(e.Detail, `"p"`) {
				t.Errorf("%q", e.Detail)
			}
		})
	}
}

func TestFileThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o660, 0o620} {
		path := privateFile(t, "hunter2!")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := valueOf(t, newStore(t, only(Source{File: path}), Options{}))
		e := wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretExposed, "hunter2")
		if !strings.Contains(e.Hint, "chmod 600 "+path) || e.Facts["mode"] != fmt.Sprintf("%04o", mode) {
			t.Errorf("%o: %+v", mode, e)
		}
	}
}

func TestVariable(t *testing.T) {
	env := map[string]string{"KEY": "hunter2!", "EMPTY": ""}
	options := Options{Env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	if got, err := valueOf(t, newStore(t, only(Source{Variable: "KEY"}), options)); err != nil || got != "hunter2!" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := valueOf(t, newStore(t, only(Source{Variable: "OTHER"}), options))
	if e := wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretVariable); !strings.Contains(e.Detail, "OTHER") {
		t.Error(e.Detail)
	}
	_, err = valueOf(t, newStore(t, only(Source{Variable: "EMPTY"}), options))
	wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretEmpty)
}

// clock is one that a test moves.
type clock struct{ micros atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()) }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

func TestValueIsKeptForAWhile(t *testing.T) {
	var c clock
	path := privateFile(t, "one")
	st := newStore(t, only(Source{File: path}), Options{Clock: c.now})
	want := func(value string) {
		t.Helper()
		if got, err := valueOf(t, st); err != nil || got != value {
			t.Fatalf("%q, %v, want %q", got, err, value)
		}
	}
	want("one")
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("one")
	c.advance(keepFile)
	want("two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.advance(keepFile)
	if _, err := valueOf(t, st); err == nil {
		t.Fatal("a value is used whose file is gone")
	}
	if err := os.WriteFile(path, []byte("three"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := valueOf(t, st); err == nil {
		t.Fatal("a failure is not kept at all")
	}
	c.advance(keepFailure)
	want("three")
}

func TestReplaceKeepsWhatStays(t *testing.T) {
	var c clock
	path := privateFile(t, "one")
	st := newStore(t, only(Source{File: path}), Options{Clock: c.now})
	if _, err := valueOf(t, st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := Settings{Secrets: map[string]Source{"p": {File: path}, "q": {Variable: "Q"}}}
	st.Replace(prepared(t, both))
	if got, _ := valueOf(t, st); got != "one" {
		t.Errorf("a secret that stays was read anew: %q", got)
	}
	if got := fmt.Sprint(st.Names(), st.Unrestricted()); got != "[p q] [p q]" {
		t.Error(got)
	}
	st.Replace(prepared(t, only(Source{File: path, KeepFor: time.Minute})))
	if got, _ := valueOf(t, st); got != "two" {
		t.Errorf("a secret that changed was not read anew: %q", got)
	}
}

func TestOneFetchForAllWhoAsk(t *testing.T) {
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	st := newStore(t, only(Source{Command: script(t, `echo x >> `+count+`; while [ ! -e `+dir+`/go ]; do sleep 0.02; done; echo hunter2!`)}), Options{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := valueOf(t, st); err != nil || got != "hunter2!" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if text, err := os.ReadFile(count); err != nil || string(text) != "x\n" {
		t.Errorf("run %q, %v", text, err)
	}
}
