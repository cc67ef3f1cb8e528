package child

import (
	"os/exec"
	"syscall"
)

// tieToParent gives the child a process group of its own, so that Ctrl-C in a
// terminal reaches only its parent, which then stops its children in order;
// and has the kernel kill the child should the parent die without doing so.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
