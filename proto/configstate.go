package proto

import (
	"errors"
	"strings"
	"time"
)

// ConfigState is what the relay may know of the configuration of an agent's
// site: the agent sends it when a tunnel is up, and whenever it changes. The
// configuration itself does not leave the site.
type ConfigState struct {
	Version  string    `json:"version"`  // of the one in use; the same for the same values
	LoadedAt time.Time `json:"loadedAt"` // by the clock of the agent's machine
	// Error is why the last edit was not taken, a fault a line, with the line of
	// the file; "" where nothing is wrong. Since is when the agent saw it.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// NeedsRestart are the keys whose values wait for a restart of the agent.
	NeedsRestart []string `json:"needsRestart,omitempty"`
}

// MaxConfigError is the longest error, in bytes.
const MaxConfigError = 2000

func (*ConfigState) controlKind() string { return "configState" }

func (c *ConfigState) validate() error {
	if c.LoadedAt.IsZero() {
		return errors.New("it does not say when the configuration was loaded")
	}
	if len(c.NeedsRestart) > 100 {
		return errors.New("needsRestart has more than 100 keys")
	}
	for _, key := range c.NeedsRestart {
		if err := checkText("needsRestart", key, 1, 100); err != nil {
			return err
		}
	}
	for line := range strings.SplitSeq(c.Error, "\n") {
		if err := checkText("error", line, 0, MaxConfigError); err != nil {
			return err
		}
	}
	if len(c.Error) > MaxConfigError {
		return errors.New("error is too long")
	}
	return checkText("version", c.Version, 1, 64)
}
