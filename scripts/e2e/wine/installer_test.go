package wine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// msi makes the installer of a version.
func (w *windows) msi(version string) string {
	w.t.Helper()
	out := filepath.Join(w.dir, version)
	cmd := exec.Command("go", "run", "./scripts/package", "--systems", "windows/amd64", "--version", version, "--out", out)
	cmd.Dir = testkit.ModuleRoot(w.t)
	if text, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("make the installer: %v\n%s", err, text)
	}
	return filepath.Join(out, "sallyport-agent-"+version+"-windows-amd64.msi")
}

// path is the machine's PATH, as new programs see it.
func (w *windows) path() string {
	w.t.Helper()
	out, err := w.run(nil, "reg", "query", `HKLM\System\CurrentControlSet\Control\Session Manager\Environment`, "/v", "PATH")
	if err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func TestInstallerInstallsUpgradesAndRemoves(t *testing.T) {
	testkit.Program(t, "wixl")
	testkit.Program(t, "msibuild")
	w := newWindows(t)
	program := filepath.Join(w.dir, `prefix/drive_c/Program Files/Sallyport/sallyport-agent.exe`)
	before := w.path()
	for _, version := range []string{"1.2.3", "1.3.0"} {
		w.must(t, "", "msiexec", "/i", w.msi(version), "/qn")
		w.must(t, "sallyport-agent "+version, program, "version")
		if n := strings.Count(w.path(), `Program Files\Sallyport`); n != 1 {
			t.Errorf("%s: its directory is %d times in the PATH: %s", version, n, w.path())
		}
	}
	// The program is the package's, and so is its removal.
	w.must(t, "msiexec /x {", program, "uninstall")
	w.must(t, "sallyport-agent 1.3.0", program, "version")
	w.must(t, "", "msiexec", "/x", filepath.Join(w.dir, "1.3.0", "sallyport-agent-1.3.0-windows-amd64.msi"), "/qn")
	if _, err := os.Stat(program); err == nil {
		t.Error("the program is there after its removal")
	}
	if strings.Contains(w.path(), "Sallyport") || strings.Contains(before, "Sallyport") {
		t.Errorf("the PATH was %s\nand is %s", before, w.path())
	}
}
