// Package e2e runs the end-to-end tests: the binaries as built, a real
// application, a real firewall, a real browser. It holds no code but tests.
package e2e

import (
	"os"
	"testing"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	os.Exit(testkit.ProgramsMain{M: testkit.PostgresMain{M: m}, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay",
		"sallyport-agent": "./agent",
		"dev/sampleapp":   "./scripts/sampleapp",
		"dev/devrun":      "./scripts/devrun",
	}}.Run())
}
