// Package service puts the agent under the operating system's service manager:
// systemd, the Windows service control manager, launchd. Package agent/cli
// installs, controls and removes it through Host, and `run` talks to the
// manager through Run and Notifier.
//
// What is decided (names, paths, the systemd unit, the launchd plist, access
// lists, recovery actions) are pure functions without a build tag, so that
// every system's is tested on every system. What carries it out is one file a
// system: systemd_linux.go, launchd_darwin.go, scm_windows.go. Registering and
// controlling go through github.com/kardianos/service where that does it well.
//
// The package knows nothing of relays: enrolment is the caller's.
package service

import "context"

// Host is one agent's share of this machine: its account, its directories and
// its service. This makes it; every method that changes something needs an
// administrator.
type Host interface {
	Layout() Layout
	// Ready reports whether a service can be installed by whoever asks: as an
	// administrator, on a machine with a service manager that is known here.
	Ready() error

	// AddAccount makes the account that the agent runs as, and says whether it
	// was not there before.
	AddAccount(ctx context.Context) (added bool, err error)
	RemoveAccount(ctx context.Context) error
	// Package says of the program in its usual place that a package of the
	// system's owns it, and how to remove that; "": none does, as far as is known.
	Package() string
	// MakeDir makes a directory, with its parents, and gives the account the
	// access; others have none but administrators.
	MakeDir(path string, access Access) error
	// Grant does the same for a file that is there.
	Grant(path string, access Access) error

	// Install registers the service so that it starts with the machine; it
	// does not start it. One that is registered already is replaced, and what
	// Install returns puts that one back.
	Install(ctx context.Context, binary string) (undo func(context.Context) error, err error)
	// Uninstall removes the service. That it is not registered is no error.
	Uninstall(ctx context.Context) error
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	Status(ctx context.Context) (Status, error)
}

// Access is what the agent's account may do with a file or directory.
type Access int

const (
	Reads Access = iota // the administrator's own, which the agent reads
	Owns                // the agent's own
)

// State of a service, as its manager sees it.
type State string

const (
	NotInstalled State = "not_installed"
	Stopped      State = "stopped"
	Starting     State = "starting"
	Running      State = "running"
	Stopping     State = "stopping"
	Failed       State = "failed" // it ended with an error, and is not restarted for now
)

// Status is what the service manager tells of a service.
type Status struct {
	Name     string `json:"name"`
	State    State  `json:"state"`
	AtBoot   bool   `json:"startsAtBoot"`
	PID      int    `json:"pid,omitempty"`
	Restarts int    `json:"restarts,omitempty"` // by the manager, since it was started last; systemd only
	Detail   string `json:"detail,omitempty"`   // in the manager's own words
}

// Account names are derived from these, and so are services and directories.
const (
	programName = "sallyport-agent"
	title       = "Sallyport agent"
	description = "Lets a Sallyport relay reach the applications that this site allows, over one outbound connection."
)
