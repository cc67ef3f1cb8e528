//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// reloadSignals has SIGHUP sent to a channel, until forget is called.
func reloadSignals() (signals <-chan os.Signal, forget func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
