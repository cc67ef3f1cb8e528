//go:build unix

// Package balancer shows relays behind real load balancers, nginx and HAProxy,
// with the very configurations that docs/relay.md gives. It holds no code but
// tests.
package balancer

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

// patience is how long anything may take that should take a moment.
const patience = time.Minute

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testkit.ProgramsMain{M: testkit.PostgresMain{M: m}, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay", "sallyport-agent": "./agent",
	}})
}

// within is a context that ends with the test, or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
