package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/agent/service"
)

func TestAProgramThatAPackageOwnsIsLeftToIt(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := newMachine(t)
	m.owner = "the package owns it: msiexec /x {1}"
	if err := os.MkdirAll(filepath.Dir(m.layout.Binary), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.layout.Binary, []byte("another version"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, status := m.command("install", "--relay", relay, "--proxy", "none", "--allow", "https://erp.test/**")
	if status == 0 || !strings.Contains(out, "msiexec /x {1}") || !strings.Contains(out, "The machine is as it was before") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	m.state = service.Stopped
	out, status = m.command("uninstall")
	if status != 0 || !strings.Contains(out, "The program stays in "+m.layout.Binary+": the package owns it: msiexec /x {1}") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if text, err := os.ReadFile(m.layout.Binary); err != nil || string(text) != "another version" {
		t.Errorf("%q, %v", text, err)
	}

	// The package's own program installs the service, and is not touched.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.layout.Binary = self
	if out, status = m.command("install", "--relay", relay, "--proxy", "none", "--allow", "https://erp.test/**"); status != 0 {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}
