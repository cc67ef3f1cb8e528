package child

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// tieToParent gives the child a console process group of its own, which is
// what a Ctrl-Break can be sent to.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// askToStop sends Ctrl-Break, which Go programs receive as os.Interrupt.
func askToStop(cmd *exec.Cmd) error {
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(cmd.Process.Pid))
}

func killTree(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
