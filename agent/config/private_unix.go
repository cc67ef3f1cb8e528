//go:build unix

package config

import (
	"fmt"
	"io/fs"
)

// checkPrivate refuses a secret file that others can read.
func checkPrivate(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s can be read by other users of this machine (mode %04o), so its key is no secret any more: "+
			"run `chmod 600 %s`; if others may have read it, enrol this machine again with --replace", path, mode, path)
	}
	return nil
}
