// Package records tests, with the programs as built, what an agent writes down
// and tells: its ledger, its log, its pause, why it was offline, and how little it
// takes while it has nothing to do.
package records

import (
	"os"
	"testing"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	os.Exit(testkit.ProgramsMain{M: m, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay", "sallyport-agent": "./agent",
	}}.Run())
}
