package systemd

import (
	"os"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// script is the life of an agent that comes by the command that the relay's
// page shows, word for word but for sudo, which a root without people lacks.
func (s *stage) script(t *testing.T) {
	m := s.machine
	if len(m.there("/usr/bin/curl")) == 0 {
		testkit.Missing(t, "curl in the Debian to boot", "scripts/e2e/systemd/tree.sh makes a new one")
	}
	// curl, too, has to trust the relay's authority: here as the machine's own.
	authority, err := os.ReadFile(s.authority.File)
	if err != nil {
		t.Fatal(err)
	}
	m.write("/usr/local/share/ca-certificates/e2e.crt", string(authority))
	m.must(t, "update-ca-certificates")
	var e struct {
		Commands struct{ Linux string } `json:"commands"`
	}
	if err := s.api.Do(t.Context(), "POST", "/api/v1/agents/"+s.agentID+"/enrollments", nil, &e); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Commands.Linux, "curl -fsSL "+s.api.Base+"/install.sh | sudo sh -s -- --code ") {
		t.Fatalf("the command is %s", e.Commands.Linux)
	}
	command := strings.Replace(e.Commands.Linux, "| sudo ", "| ", 1)
	// The script is piped in, and the program asks the terminal all the same.
	out, err := m.atTerminal(t, "allow> ", []string{"https://erp.plant2.internal/**\n", "\n"}, "sh", "-c", command)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "Checked: sallyport-agent "+packaged) || !strings.Contains(out, "\nOnline as plant2-a") {
		t.Errorf("it said:\n%s", out)
	}
	s.awaitOnline(t, s.agentID)
	if rules := m.must(t, "sallyport-agent", "policy", "show"); !strings.Contains(rules, "https://erp.plant2.internal") || strings.Contains(rules, "Warning") {
		t.Errorf("the rule that was typed:\n%s", rules)
	}
	before := s.instance(t, s.agentID)
	if found := m.there(everything...); before.Version != packaged || len(found) != len(everything) {
		t.Errorf("%+v, there is %v", before, found)
	}
	// Later releases come the same way, without a code.
	out = m.must(t, "sh", "-c", "curl -fsSL "+s.api.Base+"/install.sh | sh")
	if after := s.instance(t, s.agentID); after.ID != before.ID || !strings.Contains(out, "Enrolled already") {
		t.Errorf("%+v became %+v\n%s", before, after, out)
	}
	if left, err := m.run("sh", "-c", "ls -d /tmp/sallyport.* /var/tmp/sallyport.*"); err == nil {
		t.Errorf("left behind: %s", left)
	}
	m.must(t, "sallyport-agent", "uninstall", "--purge")
	s.awaitGone(t, s.agentID)
	if left := m.there(everything...); len(left) > 0 {
		t.Errorf("purged, there is %v", left)
	}
}
