// Package egress shows how the agent gets out of a company: through real
// proxies that want a login, and through one that opens TLS. It holds no code
// but tests.
package egress

import (
	"testing"

	"go.uber.org/goleak"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testkit.ProgramsMain{M: m, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay", "sallyport-agent": "./agent",
	}})
}
