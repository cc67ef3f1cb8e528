//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sallyport/internal/testkit"
)

// TestWhatRootWritesBelongsToTheAgentsUser: pause and pins are written by an
// administrator's commands, into the directory of a user without privileges.
func TestWhatRootWritesBelongsToTheAgentsUser(t *testing.T) {
	testkit.Root(t)
	const uid, gid = 12345, 12346
	dir := t.TempDir()
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	for range 2 { // written anew, too, and where root has written it once
		place, err := Reserve(dir, "pins.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := place.Write(map[string]int{"a": 1}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "pins.json"))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != uid || owner.Gid != gid || info.Mode().Perm() != 0o600 {
			t.Errorf("it belongs to %d:%d, mode %v", owner.Uid, owner.Gid, info.Mode())
		}
		if err := os.Chown(filepath.Join(dir, "pins.json"), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
