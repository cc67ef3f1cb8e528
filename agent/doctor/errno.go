package doctor

import (
	"errors"
	"slices"
	"syscall"
)

// errnoIn says whether the system gave one of these codes; which they are
// differs between systems.
func errnoIn(err error, codes []syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains(codes, errno)
}
