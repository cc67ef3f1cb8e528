//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

func askToStop(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }

// killTree kills the child's whole process group.
func killTree(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
