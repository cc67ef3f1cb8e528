package breadcrumb

import (
	"time"

	"golang.org/x/sys/windows"
)

func thisBoot() Boot {
	return Boot{At: time.Now().Add(-windows.DurationSinceBoot()).Round(time.Second).UTC()}
}
