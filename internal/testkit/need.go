// Package testkit is what the tests of agent and relay share: real parts to
// test against, faults to inject, and the rule for parts that are absent.
package testkit

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// Missing skips the test because the machine lacks a part, by name. With
// CI=true it fails instead, since there every part must be installed.
func Missing(t testing.TB, part, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is needed in CI: %s", part, why)
	}
	t.Skipf("needs %s: %s", part, why)
}

// Program returns the path of the first of the named programs that is
// installed, or ends the test through Missing.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, names[0], "not found in PATH")
	return ""
}

// Root ends the test through Missing where it does not run as root on Linux,
// which network namespaces and firewalls need.
func Root(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		Missing(t, "root on Linux", "network namespaces can't be made")
	}
}
