package breadcrumb

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func thisBoot() Boot {
	var b Boot
	// A service may not see it (ProcSubset=pid).
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		b.ID = strings.TrimSpace(string(id))
	}
	var up unix.Timespec // with the time that the machine was asleep
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) == nil {
		b.At = time.Now().Add(-time.Duration(up.Nano())).Round(time.Second).UTC()
	}
	return b
}
