//go:build unix

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// sameOwner gives f the owner and group of what is at path, or where nothing is,
// of its directory: what root writes, the agent's user must still read.
func sameOwner(f *os.File, path string) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	model, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		model, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	want, ok := model.Sys().(*syscall.Stat_t)
	mine, ok2 := have.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || want.Uid == mine.Uid && want.Gid == mine.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep the file's owner: %w", err)
	}
	return nil
}
