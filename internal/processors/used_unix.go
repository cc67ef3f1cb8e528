//go:build unix

package processors

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// used is the processor time of the process, in user and kernel mode.
func used() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
