package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// FullDisk is the folder of a disk of 64 KiB, which ends with the test, on which
// so many are left by a file, ballast: removing that makes room. The test ends
// through Missing where it may not be made.
func FullDisk(t testing.TB, left int) (dir, ballast string) {
	t.Helper()
	Root(t)
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		Missing(t, "tmpfs", err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast = filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<10-left), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return dir, ballast
}
