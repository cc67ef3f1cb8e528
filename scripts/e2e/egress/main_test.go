// Package egress shows how the agent gets out of a company: through real
// proxies that want a login, and through one that opens TLS. It holds no code
// but tests.
package egress

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sallyport-egress-")
	if err == nil {
		bin = dir
		err = testkit.BuildPrograms(filepath.Join("..", "..", ".."), dir, map[string]string{
			"sallyport-relay": "./relay",
			"sallyport-agent": "./agent",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "egress:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
