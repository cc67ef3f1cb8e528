package egress

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// systemSettings are those of the network settings of macOS.
func systemSettings() (settings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "/usr/sbin/scutil", "--proxy").Output()
	if err != nil {
		return settings{}, fmt.Errorf("scutil --proxy: %w", err)
	}
	return parseScutil(string(text)), nil
}
