// Package signin signs in to real applications in the ways that they want it:
// the binaries as built, servers of Debian's packages and of Go modules, a real
// browser, from the cloud and on-premise. It holds no code but tests.
package signin

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
