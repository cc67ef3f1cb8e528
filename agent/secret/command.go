package secret

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sallyport/proto"
)

// fromCommand runs a program, without a shell, and takes what it prints, blanks
// around it removed. What it writes to standard error is thrown away: it may
// quote the secret.
func fromCommand(ctx context.Context, name string, s Source) (string, *proto.Error) {
	timeout := cmp.Or(s.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	var out limitedBuffer
	cmd.Stdout = &out
	cmd.WaitDelay = 2 * time.Second // a grandchild that keeps the pipe open must not keep us
	killGroup(cmd)
	err := cmd.Run()
	program := filepath.Base(s.Command[0])
	byHand := "Run it by hand as the agent's user, and mend what it says; its messages are not kept here, since they may hold secrets."
	failed := func(what, hint string) (string, *proto.Error) {
		return "", unavailable(name, proto.ReasonSecretCommand, err, fmt.Sprintf("The command of the secret %q (%s) on the agent's machine %s.", name, program, what), hint)
	}
	var exit *exec.ExitError
	switch {
	case err == nil && out.over:
		return "", unusableLength(name, out.kept.Len())
	case err == nil:
		return strings.TrimSpace(out.kept.String()), nil
	case ctx.Err() == context.DeadlineExceeded:
		return failed(fmt.Sprintf("did not end within %s", timeout), "Make it faster, or raise timeout: of the secret in agent.yaml. It is given no input: it must not ask for any.")
	case errors.Is(err, fs.ErrNotExist):
		return failed("does not exist", fmt.Sprintf("Install %s, or correct command: in agent.yaml.", s.Command[0]))
	case errors.Is(err, fs.ErrPermission):
		return failed("may not be run by the agent's user", fmt.Sprintf("Let the agent's user run %s.", s.Command[0]))
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return failed(fmt.Sprintf("ended with status %d", exit.ExitCode()), byHand)
	}
	return failed("broke off", byHand)
}

// limitedBuffer keeps no more than a value can be; the rest is thrown away, so
// that the command can end.
type limitedBuffer struct {
	kept bytes.Buffer // not embedded: its ReadFrom knows no limit
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := maxValue + 2 - b.kept.Len()
	b.over = b.over || len(p) > room
	b.kept.Write(p[:min(len(p), room)])
	return len(p), nil
}
