package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// granting notes what was granted, and has nothing else of a Host.
type granting struct {
	Host
	granted []string
	fail    error
}

func (g *granting) Grant(path string, access Access) error {
	g.granted = append(g.granted, filepath.Base(path)[:4])
	return g.fail
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPlacedFileComesAndGoesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.yaml")
	h := &granting{}
	undoFirst, err := PlaceFile(h, path, []byte("one"), Reads)
	must(t, err)
	undoSecond, err := PlaceFile(h, path, []byte("two"), Reads)
	must(t, err)
	if got := read(t, path); got != "two" {
		t.Errorf("got %q", got)
	}
	must(t, undoSecond(t.Context()))
	if got := read(t, path); got != "one" {
		t.Errorf("after undoing: %q", got)
	}
	must(t, undoFirst(t.Context()))
	if got := read(t, path); got != "(none)" {
		t.Errorf("after undoing all: %q", got)
	}
	h.fail = errors.New("no such account")
	if _, err := PlaceFile(h, path, []byte("three"), Reads); err == nil {
		t.Error("a file that was granted to nobody was placed")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestProgramIsReplacedAndPutBack(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "download"), filepath.Join(dir, "bin", "sallyport-agent")
	write(t, source, "v1")
	undo, _, err := PlaceProgram(source, target)
	must(t, err)
	if info, err := os.Stat(target); err != nil || info.Mode().Perm()&0o111 == 0 || read(t, target) != "v1" {
		t.Fatalf("%v, %v, %q", err, info, read(t, target))
	}
	must(t, undo(t.Context()))
	if got := read(t, target); got != "(none)" {
		t.Errorf("undone: %q", got)
	}
	_, done, err := PlaceProgram(source, target)
	must(t, err)
	must(t, done(t.Context()))

	write(t, source, "v2, longer")
	undo, _, err = PlaceProgram(source, target)
	must(t, err)
	if got := read(t, target); got != "v2, longer" {
		t.Errorf("upgraded: %q", got)
	}
	must(t, undo(t.Context()))
	if got := read(t, target); got != "v1" {
		t.Errorf("upgrade undone: %q", got)
	}
	_, done, err = PlaceProgram(source, target)
	must(t, err)
	must(t, done(t.Context()))
	if files, _ := os.ReadDir(filepath.Dir(target)); len(files) != 1 || read(t, target) != "v2, longer" {
		t.Errorf("there are %v", files)
	}
	// Of itself, and of the same content, there is nothing to do.
	for _, from := range []string{target, source} {
		undo, done, err := PlaceProgram(from, target)
		must(t, err)
		must(t, undo(t.Context()))
		must(t, done(t.Context()))
		if got := read(t, target); got != "v2, longer" {
			t.Errorf("from %s: %q", from, got)
		}
	}
	must(t, RemoveProgram(target))
	if files, _ := os.ReadDir(filepath.Dir(target)); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestUndoingGoesBackwardsAndOn(t *testing.T) {
	var u Undo
	var done []string
	for _, name := range []string{"first", "second", "third"} {
		u.Later("undo the "+name, func(ctx context.Context) error {
			done = append(done, name)
			if name == "second" {
				return errors.New("it is stuck")
			}
			return ctx.Err()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // someone pressed Ctrl-C; what was begun is still taken back
	err := u.Back(ctx)
	if diff := cmp.Diff([]string{"third", "second", "first"}, done); diff != "" {
		t.Error(diff)
	}
	if err == nil || !strings.Contains(err.Error(), "could not undo the second: it is stuck") || strings.Contains(err.Error(), "first") {
		t.Errorf("got %v", err)
	}
	if err := u.Back(ctx); err != nil || len(done) != 3 {
		t.Errorf("undone twice: %v, %v", err, done)
	}
}
