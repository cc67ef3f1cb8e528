package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildPrograms builds what end-to-end tests start into dir, the way `make
// build` does, and thus without the race detector: sources are packages by the
// path of their program within dir.
func BuildPrograms(dir string, sources map[string]string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	for path, source := range sources {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-X sallyport/internal/buildinfo.version=0.0.0-e2e", "-o", filepath.Join(dir, path), source)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, out)
		}
	}
	return nil
}

// ProgramsMain builds programs before a package's tests run, and removes them
// afterwards.
type ProgramsMain struct {
	M interface{ Run() int } // *testing.M, or another of this package
	// Bin becomes the folder in which the programs are.
	Bin     *string
	Sources map[string]string // as of BuildPrograms
}

// Run builds the programs and runs the tests; see testing.M.
func (m ProgramsMain) Run() int {
	dir, err := os.MkdirTemp("", "sallyport-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the programs:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := BuildPrograms(dir, m.Sources); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*m.Bin = dir
	return m.M.Run()
}
