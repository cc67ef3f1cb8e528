// Package e2e runs the end-to-end tests: the binaries as built, a real
// application, a real firewall, a real browser. It holds no code but tests.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// buildAndRun builds what the tests start, the way `make build` does, once.
func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sallyport-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := testkit.BuildPrograms(filepath.Join("..", ".."), dir, map[string]string{
		"sallyport-relay": "./relay",
		"sallyport-agent": "./agent",
		"dev/sampleapp":   "./scripts/sampleapp",
		"dev/devrun":      "./scripts/devrun",
	}); err != nil {
		return 1, err
	}
	defer testkit.StopPostgres()
	return m.Run(), nil
}
