//go:build unix

package breadcrumb

import (
	"errors"
	"syscall"
)

// noNetwork reports whether the system knows no way to anywhere.
func noNetwork(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ENETDOWN)
}
