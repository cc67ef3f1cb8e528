//go:build unix

package egress

import (
	"fmt"
	"io/fs"
)

// checkSecret refuses a password that every user of the machine can read. The
// group may: that is how root hands a file to a service's user.
func checkSecret(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%s can be read by every user of this machine (mode %04o): run `chmod 600 %s`", path, mode, path)
	}
	return nil
}
