// Package signin signs in to real applications in the ways that they want it:
// the binaries as built, servers of Debian's packages and of Go modules, a real
// browser, from the cloud and on-premise. It holds no code but tests.
package signin

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
		fmt.Fprintln(os.Stderr, "signin:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sallyport-signin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := testkit.BuildPrograms(filepath.Join("..", "..", ".."), dir, map[string]string{
		"sallyport-relay": "./relay",
		"sallyport-agent": "./agent",
	}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
