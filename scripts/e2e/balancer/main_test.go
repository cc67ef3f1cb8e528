//go:build unix

// Package balancer shows relays behind real load balancers, nginx and HAProxy,
// with the very configurations that docs/relay.md gives. It holds no code but
// tests.
package balancer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	dir, err := os.MkdirTemp("", "sallyport-balancer-")
	if err == nil {
		bin = dir
		err = testkit.BuildPrograms(filepath.Join("..", "..", ".."), dir, map[string]string{
			"sallyport-relay": "./relay",
			"sallyport-agent": "./agent",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "balancer:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(testkit.PostgresMain{M: m}, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// within is a context that ends with the test, or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
