package outbound

import (
	"errors"
	"syscall"
)

// isErrno says whether err came from the system with one of the given codes;
// which those are differs between systems.
func isErrno(err error, codes []syscall.Errno) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	for _, c := range codes {
		if errno == c {
			return true
		}
	}
	return false
}
