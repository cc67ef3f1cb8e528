package processors

import (
	"fmt"
	"time"

	"golang.org/x/sys/windows"
)

// used is the processor time of the process, in user and kernel mode.
func used() (time.Duration, error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return duration(kernel) + duration(user), nil
}

// duration is a Filetime that is a span: it counts 100 ns.
func duration(f windows.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
