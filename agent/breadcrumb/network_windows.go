package breadcrumb

import (
	"errors"

	"golang.org/x/sys/windows"
)

// noNetwork reports whether the system knows no way to anywhere.
func noNetwork(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAENETDOWN)
}
