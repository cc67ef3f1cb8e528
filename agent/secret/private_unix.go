//go:build unix

package secret

import "io/fs"

// checkPrivate refuses a file that anybody but its owner can read.
func checkPrivate(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &exposedError{path: path, mode: mode}
	}
	return nil
}
