package breadcrumb

import (
	"time"

	"golang.org/x/sys/unix"
)

func thisBoot() Boot {
	at, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return Boot{}
	}
	return Boot{At: time.Unix(at.Unix()).UTC()}
}
