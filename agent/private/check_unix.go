//go:build unix

package private

import "io/fs"

// check refuses a file that anybody but its owner can read.
func check(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &ExposedError{Path: path, Mode: mode}
	}
	return nil
}
