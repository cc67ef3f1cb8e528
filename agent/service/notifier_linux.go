package service

import (
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// systemdNotifier speaks sd_notify(3) to the systemd that started this process.
type systemdNotifier struct{ watchdog time.Duration }

func newNotifier() notifier {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil { // meant for another process
		every = 0
	}
	return systemdNotifier{every}
}

func (systemdNotifier) Tell(assignments ...string) {
	for i, a := range assignments {
		assignments[i] = strings.ReplaceAll(a, "\n", " ")
	}
	_, _ = daemon.SdNotify(false, strings.Join(assignments, "\n")) // nobody is left to tell
}

func (n systemdNotifier) Watchdog() time.Duration { return n.watchdog }
