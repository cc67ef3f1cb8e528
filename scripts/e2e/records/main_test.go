// Package records tests, with the programs as built, what an agent writes down
// and tells: its ledger, its log, its pause, why it was offline, and how little it
// takes while it has nothing to do.
package records

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
		fmt.Fprintln(os.Stderr, "records:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sallyport-records-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := testkit.BuildPrograms(filepath.Join("..", "..", ".."), dir, map[string]string{
		"sallyport-relay": "./relay", "sallyport-agent": "./agent",
	}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
