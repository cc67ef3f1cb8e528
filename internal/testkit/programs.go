package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildPrograms builds what end-to-end tests start into dir, the way `make
// build` does: sources are packages by the path of their program within dir.
// root is the folder of go.mod.
func BuildPrograms(root, dir string, sources map[string]string) error {
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
