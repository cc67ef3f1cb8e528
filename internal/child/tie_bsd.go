//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

// tieToParent gives the child a process group of its own, so that Ctrl-C in a
// terminal reaches only its parent, which then stops its children in order.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
