// Package systemd installs the agent on a machine with a real systemd: a Debian
// that is booted in a container, in a network namespace whose firewall lets
// nothing in. tree.sh makes what is booted. It holds no code but tests.
package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"sallyport/internal/testkit"
)

// bin is the folder of the binaries that TestMain built.
var bin string

// newer is the version of the agent to upgrade to.
const newer = "0.0.0-e2e.newer"

// packaged is the version of the Debian package.
const packaged = "0.0.1"

func TestMain(m *testing.M) {
	if _, err := os.Stat(treePath()); err != nil || os.Geteuid() != 0 {
		os.Exit(m.Run()) // the test says what it needs, and needs no programs for that
	}
	os.Exit(testkit.ProgramsMain{M: packagesMain{m}, Bin: &bin, Sources: map[string]string{
		"sallyport-relay": "./relay", "sallyport-agent": "./agent",
	}}.Run())
}

// packagesMain builds a newer agent and the packages beside the programs, and
// runs the tests.
type packagesMain struct{ *testing.M }

func (m packagesMain) Run() int {
	if err := buildPackages(); err != nil {
		fmt.Fprintln(os.Stderr, "systemd:", err)
		return 1
	}
	return m.M.Run()
}

func buildPackages() error {
	root := filepath.Join("..", "..", "..")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-X sallyport/internal/buildinfo.version="+newer, "-o", filepath.Join(bin, "newer", "sallyport-agent"), "./agent")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the newer agent: %w\n%s", err, out)
	}
	pack := exec.Command("go", "run", "./scripts/package", "--systems", "linux/"+runtime.GOARCH, "--version", packaged, "--out", filepath.Join(bin, "dist"))
	pack.Dir = root
	if out, err := pack.CombinedOutput(); err != nil {
		return fmt.Errorf("make the packages: %w\n%s", err, out)
	}
	return nil
}
