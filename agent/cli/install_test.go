package cli

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
	"sallyport/agent/service"
)

func TestInstallEndsOnline(t *testing.T) {
	relay, left := wholeRelay(t)
	m := newMachine(t)
	authority := filepath.Join(t.TempDir(), "company.pem")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	if err := os.WriteFile(authority, certificatePEM(server), 0o600); err != nil {
		t.Fatal(err)
	}
	out, status := m.command("install", "--relay", relay, "--proxy", "none", "--ca-file", authority)
	if status != 0 || !strings.HasSuffix(out, "\nOnline as "+hostname()+" (agent \"Plant 2\"), 34 ms to the relay\n") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	if strings.Contains(out, "GOOD") {
		t.Errorf("the code is shown:\n%s", out)
	}
	if diff := cmp.Diff([]string{"add account", "make etc", "make lib", "grant identity", "install sallyport-agent", "restart"}, m.does); diff != "" {
		t.Error(diff)
	}
	c, err := config.Load(config.Sources{File: m.layout.Config()})
	if err != nil || c.Proxy != "none" || c.CAFile != filepath.Join(m.layout.ConfigDir, "ca.pem") {
		t.Errorf("%v, %+v", err, c)
	}
	if diff := cmp.Diff([]string{"bin/sallyport-agent", "etc/agent.yaml", "etc/ca.pem", "lib/control.json", "lib/identity.json"}, m.left()); diff != "" {
		t.Error(diff)
	}
	if *left != 0 {
		t.Error("the machine has left the relay")
	}
}

func TestInstallWritesTheFirstRules(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := newMachine(t)
	out, status := m.command("install", "--relay", relay, "--proxy", "none", "--allow", "https://erp.test/**", "--allow", "allow GET http://127.0.0.1:8090/api/**")
	if status != 0 || !strings.Contains(out, "The relay may reach: allow GET http://127.0.0.1:8090/api/**\n") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	rules := func() (texts []string) {
		c, err := config.Load(config.Sources{File: m.layout.Config()})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range c.Policy.Rules {
			texts = append(texts, line.Text)
		}
		return texts
	}
	first := rules()
	if len(first) != 2 {
		t.Fatalf("the rules are %q", first)
	}
	if out, status := m.command("install", "--allow", "https://mes.test/**", "--allow", "https://erp.test/**"); status != 0 {
		t.Fatal(out)
	}
	if now := rules(); len(now) != 3 || !slices.Equal(now[:2], first) || !strings.Contains(now[2], "mes.test") {
		t.Errorf("the rules are %q", now)
	}
	if out, status := m.command("install", "--allow", "erp.test"); status == 0 || !strings.Contains(out, "--allow") {
		t.Errorf("a faulty rule: exit status %d:\n%s", status, out)
	}
}

func TestAQuestionForRulesTakesWhatIsRightAndAsksAgain(t *testing.T) {
	for _, c := range []struct {
		typed string
		want  int
		fails bool
	}{
		{"\n", 0, false},
		{"erp.test\nhttps://erp.test/**\ndeny https://x.test/\nGET http://10.0.0.9:8080/\n\n", 2, false},
		{"https://erp.test/**\n", 0, true}, // cut off before the end
	} {
		var out bytes.Buffer
		rules, err := askRules(t.Context(), strings.NewReader(c.typed), &out)
		if (err != nil) != c.fails || len(rules) != c.want {
			t.Errorf("%q: %q, %v\n%s", c.typed, rules, err, out.String())
		}
	}
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	for fails, leaves := range map[string]int{
		"add account": 0, "make etc": 0, "make lib": 0,
		"grant identity": 1, "install sallyport-agent": 1, "restart": 1,
		"come online": 1,
	} {
		t.Run(fails, func(t *testing.T) {
			relay, left := wholeRelay(t)
			m := newMachine(t)
			m.fails = fails
			if fails == "come online" {
				m.will = link.StateRefused
			}
			out, status := m.command("install", "--relay", relay, "--proxy", "none")
			if status == 0 || !strings.Contains(out, "as it was before") {
				t.Errorf("exit status %d:\n%s", status, out)
			}
			if found := m.left(); len(found) > 0 {
				t.Errorf("left behind: %v", found)
			}
			if *left != leaves {
				t.Errorf("the relay was told %d times, want %d", *left, leaves)
			}
			if m.state != service.NotInstalled && m.state != service.Stopped || slices.Contains(m.does, "restart") && m.does[len(m.does)-1] != "remove account" {
				t.Errorf("the service is %s after %v", m.state, m.does)
			}
		})
	}
}

func TestInstallChangesNothingWhereTheRelayIsNotReached(t *testing.T) {
	m := newMachine(t)
	out, status := m.command("install", "--relay", "http://127.0.0.1:1", "--proxy", "none")
	if status == 0 || !strings.Contains(out, "refused the connection") || !strings.Contains(out, "nothing was changed") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if len(m.does) > 0 || len(m.left()) > 0 {
		t.Errorf("it did %v, and there is %v", m.does, m.left())
	}
}

// installed is a machine with an agent that is online, of another version.
func installed(t *testing.T, relay string) *machine {
	m := newMachine(t)
	if out, status := m.command("install", "--relay", relay, "--proxy", "none"); status != 0 {
		t.Fatal(out)
	}
	if err := os.WriteFile(m.layout.Binary, []byte("an earlier version"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.does = nil
	return m
}

func (m *machine) content(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func TestAnUpgradeKeepsIdentityAndSettings(t *testing.T) {
	relay, left := wholeRelay(t)
	m := installed(t, relay)
	identity := m.content(filepath.Join(m.layout.DataDir, config.IdentityFile))
	out, status := m.command("install", "--log-level", "debug")
	if status != 0 || !strings.Contains(out, `Enrolled already, as agent "Plant 2"`) {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	if now := m.content(filepath.Join(m.layout.DataDir, config.IdentityFile)); now != identity {
		t.Error("the identity has changed")
	}
	if len(m.content(m.layout.Binary)) < 1<<20 {
		t.Error("the program is still the earlier one")
	}
	c, err := config.Load(config.Sources{File: m.layout.Config()})
	if err != nil || c.Proxy != "none" || c.LogLevel != "debug" {
		t.Errorf("%v, %+v", err, c)
	}
	if *left != 0 {
		t.Error("the machine has left the relay")
	}
	if out, status := m.command("install", "--relay", "https://elsewhere.test"); status == 0 || !strings.Contains(out, "is enrolled at "+relay) {
		t.Errorf("another relay: exit status %d:\n%s", status, out)
	}
}

func TestAFailedUpgradeGoesBack(t *testing.T) {
	relay, left := wholeRelay(t)
	m := installed(t, relay)
	settings := m.content(m.layout.Config())
	m.will = link.StateRefused
	out, status := m.command("install", "--log-level", "debug")
	if status == 0 || !strings.Contains(out, "the enrolment was revoked") || !strings.Contains(out, "as it was before") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	if got := m.content(m.layout.Binary); got != "an earlier version" {
		t.Errorf("the program is %.40q", got)
	}
	if m.content(m.layout.Config()) != settings {
		t.Error("the settings have changed")
	}
	want := []string{"add account", "make etc", "make lib", "install sallyport-agent", "restart", "stop", "put the service back", "restart"}
	if diff := cmp.Diff(want, m.does); diff != "" {
		t.Error(diff)
	}
	if *left != 0 {
		t.Error("the machine has left the relay")
	}
}

func TestAnUpgradeOfAnAgentThatWasOfflineStays(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := installed(t, relay)
	m.will = link.StateRefused
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, status := m.command("install")
	if status == 0 || !strings.Contains(out, "upgraded, but not online") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	if m.content(m.layout.Binary) == "an earlier version" || m.state != service.Running {
		t.Errorf("it went back; the service is %s", m.state)
	}
}

func TestUninstallKeepsTheIdentityUnlessPurged(t *testing.T) {
	relay, left := wholeRelay(t)
	m := installed(t, relay)
	out, status := m.command("uninstall")
	if status != 0 || !strings.Contains(out, "--purge") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if diff := cmp.Diff([]string{"etc/agent.yaml", "lib/identity.json"}, m.left()); diff != "" {
		t.Error(diff)
	}
	if out, status := m.command("uninstall", "--purge"); status != 0 || !strings.Contains(out, `removed this machine from agent "Plant 2"`) {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if found := m.left(); len(found) > 0 || *left != 1 {
		t.Errorf("left behind: %v; the relay was told %d times", found, *left)
	}
	if diff := cmp.Diff([]string{"stop", "uninstall", "remove account"}, m.does); diff != "" {
		t.Error(diff)
	}
	if out, status := m.command("start"); status == 0 || !strings.Contains(out, "is not installed") {
		t.Errorf("start: exit status %d:\n%s", status, out)
	}
}

func TestPurgeDoesNotNeedTheRelay(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := installed(t, relay)
	path := filepath.Join(m.layout.DataDir, config.IdentityFile)
	moved := strings.Replace(m.content(path), relay, "http://127.0.0.1:1", 1)
	if err := os.WriteFile(path, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	out, status := m.command("uninstall", "--purge")
	if status != 0 || !strings.Contains(out, "The relay could not be told") || !strings.Contains(out, "on the agent's page") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if found := m.left(); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestStatusNamesTheService(t *testing.T) {
	relay, _ := wholeRelay(t)
	m := installed(t, relay)
	if out, status := m.command("status"); status != 0 || !strings.Contains(out, "Service    sallyport-agent.service running") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if out, status := m.command("status", "--json"); status != 0 || !strings.Contains(out, `"startsAtBoot": true`) || !strings.Contains(out, `"state": "online"`) {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if out, status := m.command("stop"); status != 0 {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if out, status := m.command("status"); status == 0 || !strings.Contains(out, "sallyport-agent.service stopped") || !strings.Contains(out, "sallyport-agent start") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}

func TestTheLastLineOfInstall(t *testing.T) {
	for latency, want := range map[float64]string{34.4: "34 ms", 0.31: "0.3 ms", 9.96: "10 ms"} {
		if got := onlineLine(control.Status{Agent: "Plant 2 ERP", LatencyMs: latency, Since: time.Now()}); got != "Online as "+hostname()+` (agent "Plant 2 ERP"), `+want+" to the relay" {
			t.Error(got)
		}
	}
}
