package cli

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestAFaultyConfigurationDoesNotTakeTheAgentDown(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := newMachine(t)
	if out, status := m.command("install", "--relay", relay, "--proxy", "none", "--allow", "https://erp.test/**"); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	good, err := os.ReadFile(m.layout.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.layout.Config(), append(good, "prxoy: none\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	m.does = nil
	if out, status := m.command("restart"); status == 0 || !strings.Contains(out, "nothing was done") || !strings.Contains(out, `did you mean "proxy"?`) || len(m.does) > 0 {
		t.Errorf("exit status %d, it did %v:\n%s", status, m.does, out)
	}
	if err := os.WriteFile(m.layout.Config(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := m.command("restart"); status != 0 || !slices.Equal(m.does, []string{"restart"}) {
		t.Errorf("exit status %d, it did %v:\n%s", status, m.does, out)
	}
}
