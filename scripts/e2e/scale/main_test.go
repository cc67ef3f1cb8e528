//go:build unix

// Package scale tests how much one relay holds, and what that costs: the
// relay's binary as built, with its database, and thousands of agents in
// another process.
package scale

import (
	"os"
	"testing"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

// TestMain builds what the tests start without the race detector, whose memory
// and time would be what is measured.
func TestMain(m *testing.M) {
	os.Exit(testkit.ProgramsMain{M: m, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay", "sites": "./scripts/e2e/scale/sites",
	}}.Run())
}
