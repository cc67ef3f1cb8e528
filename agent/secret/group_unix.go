//go:build unix

package secret

import (
	"os/exec"
	"syscall"
)

// killGroup has the command's children ended with it when its time is up.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
