package service

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	kardianos "github.com/kardianos/service"
)

// idle satisfies kardianos, which is only used to register and control here;
// see Run for what runs.
type idle struct{}

func (idle) Start(kardianos.Service) error { return nil }
func (idle) Stop(kardianos.Service) error  { return nil }

// commandTimeout bounds one command of the system's.
const commandTimeout = 90 * time.Second

// command runs one of the system's programs. Its error holds what the program
// said.
func command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		said := text
		if said == "" {
			said = err.Error()
		}
		return text, fmt.Errorf("%s: %s", strings.Join(append([]string{name}, args...), " "), said)
	}
	return text, nil
}
