package linefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var limits = Limits{Size: MinSize, Files: 3, Age: 30 * day}

// fill writes numbered lines of a kilobyte, from on, and returns the next
// number.
func fill(t *testing.T, w interface{ Write([]byte) (int, error) }, from, count int) int {
	t.Helper()
	pad := strings.Repeat("x", 1000)
	for i := from; i < from+count; i++ {
		if _, err := fmt.Fprintf(w, "%06d %s\n", i, pad); err != nil {
			t.Fatal(err)
		}
	}
	return from + count
}

func numbers(t *testing.T, r *Reader) (got []string) {
	t.Helper()
	if err := r.Read(func(line []byte) error {
		got = append(got, string(line[:6]))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func span(from, to int) (want []string) {
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprintf("%06d", i))
	}
	return want
}

func TestFilesStayWithinTheirLimitsAndReadAsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	w := Create(path, limits)
	defer w.Close()
	end := 0
	var files []string
	for range 6 { // files, two more than are kept
		end = fill(t, w, end, 2100)
	}
	deadline := time.Now().Add(10 * time.Second) // they are removed in the background
	for {
		var err error
		if files, err = Files(path); err != nil {
			t.Fatal(err)
		}
		if len(files) == limits.Files+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are kept, want %d: %q", len(files), limits.Files+1, files)
		}
		time.Sleep(5 * time.Millisecond)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > MinSize {
			t.Errorf("%s has %d bytes", file, info.Size())
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	got := numbers(t, NewReader(path, time.Time{}))
	if len(got) < 3*2000 || cmp.Diff(got, span(end-len(got), end)) != "" {
		t.Errorf("%d lines, from %s to %s; want the last of %d without a gap", len(got), got[0], got[len(got)-1], end)
	}
}

func TestReaderGoesOnWhereItWasWhateverIsSetAsideMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.jsonl")
	if err := os.WriteFile(filepath.Join(dir, "ledger-notes.jsonl"), []byte("not ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := NewReader(path, time.Time{})
	if got := numbers(t, r); got != nil {
		t.Errorf("nothing was written, and read: %q", got)
	}
	w := Create(path, limits)
	defer w.Close()
	end := fill(t, w, 0, 10)
	if diff := cmp.Diff(span(0, 10), numbers(t, r)); diff != "" {
		t.Error(diff)
	}
	next := fill(t, w, end, 2100) // the file is set aside on the way
	if diff := cmp.Diff(span(end, next), numbers(t, r)); diff != "" {
		t.Error(diff)
	}
	if got := numbers(t, r); got != nil {
		t.Errorf("read twice: %q", got)
	}
	// A line that is not whole yet is none.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, part := range []string{"whole1\nhal", "f"} {
		if _, err := f.WriteString(part); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"whole1"}, numbers(t, r)); diff != "" {
		t.Error(diff)
	}
	if _, err := f.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"halfli"}, numbers(t, r)); diff != "" {
		t.Error(diff)
	}
}

func TestFollowReadsUntilItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	w := Create(path, limits)
	defer w.Close()
	end := fill(t, w, 0, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	err := NewReader(path, time.Time{}).Follow(ctx, func(line []byte) error {
		got = append(got, string(line[:6]))
		if len(got) == 3 {
			end = fill(t, w, end, 2)
		}
		if len(got) == 5 {
			cancel()
		}
		return nil
	})
	if err != nil || cmp.Diff(span(0, 5), got) != "" {
		t.Errorf("got %q, %v", got, err)
	}
	stop := errors.New("stop")
	if err := NewReader(path, time.Time{}).Follow(t.Context(), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestFilesOfOldAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	if err := os.WriteFile(path, []byte("000000 old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-day)
	if err := os.Chtimes(path, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, NewReader(path, time.Now().Add(-time.Hour))); got != nil {
		t.Errorf("read %q", got)
	}
}

func TestLimitsThatKeepNothing(t *testing.T) {
	if err := limits.Check(); err != nil {
		t.Error(err)
	}
	for _, l := range []Limits{{Size: 1 << 20, Files: 1, Age: day}, {Size: MinSize, Age: day}, {Size: MinSize, Files: 1, Age: time.Hour}} {
		if l.Check() == nil {
			t.Errorf("%+v was taken", l)
		}
	}
}
