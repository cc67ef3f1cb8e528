//go:build unix

// Package scale tests how much one relay holds, and what that costs: the
// relay's binary as built, with its database, and thousands of agents in
// another process.
package scale

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		code = 1
	}
	os.Exit(code)
}

// buildAndRun builds what the tests start, without the race detector, whose
// memory and time would be what is measured.
func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sallyport-scale-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	for name, source := range map[string]string{"sallyport-relay": "./relay", "sites": "./scripts/e2e/scale/sites"} {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-X sallyport/internal/buildinfo.version=0.0.0-e2e", "-o", filepath.Join(dir, name), source)
		cmd.Dir = filepath.Join("..", "..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w\n%s", source, err, out)
		}
	}
	return m.Run(), nil
}
