package systemd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

const (
	unit   = "sallyport-agent.service"
	second = "sallyport-agent@second.service"
)

// everything is what an installation puts on the machine.
var everything = []string{
	"/usr/local/bin/sallyport-agent", "/etc/sallyport-agent", "/var/lib/sallyport-agent",
	"/etc/systemd/system/" + unit, "/etc/systemd/system/multi-user.target.wants/" + unit,
}

// TestOnRealSystemd goes through the life of an installed agent. The steps
// build on each other: what is booted once serves them all.
func TestOnRealSystemd(t *testing.T) {
	s := newStage(t)
	m := s.machine
	m.carry(t, bin+"/sallyport-agent", "/root/download/sallyport-agent")
	m.carry(t, bin+"/newer/sallyport-agent", "/root/download/newer")
	authority, err := os.ReadFile(s.authority.File)
	if err != nil {
		t.Fatal(err)
	}
	// Where the service can't look: it sees nobody's home directory.
	m.write("/root/download/company-ca.pem", string(authority))
	install := []string{"install", "--relay", s.api.Base, "--ca-file", "/root/download/company-ca.pem"}

	s.step("a failed installation leaves nothing", func(t *testing.T) {
		out, err := m.run("/root/download/sallyport-agent", append(install, "--code", "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA")...)
		if err == nil || !strings.Contains(out, "not known to this relay") || !strings.Contains(out, "as it was before") {
			t.Fatalf("%v\n%s", err, out)
		}
		if left := m.there(everything...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if out, err := m.run("id", "sallyport-agent"); err == nil {
			t.Errorf("the account is there: %s", out)
		}
	})

	s.step("no way to the relay is found out before anything is done", func(t *testing.T) {
		out, err := m.run("/root/download/sallyport-agent", append(install, "--code", "AAAAA", "--proxy", "http://127.0.0.1:9")...)
		if err == nil || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "proxy") {
			t.Fatalf("%v\n%s", err, out)
		}
	})

	s.step("only root may", func(t *testing.T) {
		m.must(t, "cp", "/root/download/sallyport-agent", "/tmp/agent")
		out, err := m.run("setpriv", "--reuid=65534", "--clear-groups", "/tmp/agent", "install", "--relay", s.api.Base, "--code", "X")
		if err == nil || !strings.Contains(out, "sudo") {
			t.Errorf("%v\n%s", err, out)
		}
	})

	s.step("one command, and it is online", func(t *testing.T) {
		out, err := m.runWith([]string{"SALLYPORT_CODE=" + s.code(t, s.agentID)}, "/root/download/sallyport-agent", install...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		last := regexp.MustCompile(`^Online as plant2-a \(agent "Plant 2 ERP"\), [0-9.]+ ms to the relay$`)
		if !last.MatchString(lines[len(lines)-1]) {
			t.Errorf("its last line:\n%s", out)
		}
		s.awaitOnline(t, s.agentID)
		if found := m.there(everything...); len(found) != len(everything) {
			t.Errorf("there is only %v", found)
		}
		if out := m.must(t, "sallyport-agent", "status"); !strings.Contains(out, unit+" running") {
			t.Errorf("status: %s", out)
		}
		if user := strings.TrimSpace(m.must(t, "stat", "-c", "%U", "/proc/"+strconv.Itoa(m.pid(t, unit)))); user != "sallyport-agent" {
			t.Errorf("it runs as %q", user)
		}
		if modes := m.must(t, "stat", "-c", "%U:%G %a", "/var/lib/sallyport-agent", "/var/lib/sallyport-agent/identity.json",
			"/etc/sallyport-agent", "/etc/sallyport-agent/agent.yaml"); modes != "sallyport-agent:sallyport-agent 700\n"+
			"sallyport-agent:sallyport-agent 600\nroot:sallyport-agent 750\nroot:sallyport-agent 640\n" {
			t.Errorf("owners and modes:\n%s", modes)
		}
	})

	s.step("systemd finds little that it could still take away", func(t *testing.T) {
		out := m.must(t, "systemd-analyze", "security", "--no-pager", unit)
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("no exposure level:\n%s", out)
		}
		level, err := strconv.ParseFloat(found[1], 64)
		if err != nil || level > 2.0 {
			t.Errorf("exposure level %s, want at most 2.0:\n%s", found[1], out)
		}
		t.Logf("exposure level %s", found[1])
		if out := m.must(t, "systemd-analyze", "verify", unit); out != "" {
			t.Errorf("systemd has something to say about the unit:\n%s", out)
		}
	})

	s.step("systemctl reload takes what has changed, and drops nothing", func(t *testing.T) {
		before := m.pid(t, unit)
		m.must(t, "sed", "-i", "s/^logLevel: info/logLevel: debug/", "/etc/sallyport-agent/agent.yaml")
		m.must(t, "systemctl", "reload", unit)
		testkit.Eventually(t, 20*time.Second, "the change is taken", func() error {
			if log := m.must(t, "journalctl", "--unit", unit, "--output", "cat", "--no-pager"); !strings.Contains(log, "configuration taken") || !strings.Contains(log, "logLevel") {
				return errors.New("the log does not tell")
			}
			return nil
		})
		if now := m.pid(t, unit); now != before {
			t.Errorf("process %d became %d", before, now)
		}
		m.must(t, "sallyport-agent", "status")
	})

	s.step("killed, it is back", func(t *testing.T) {
		before := m.pid(t, unit)
		start := time.Now()
		m.must(t, "sh", "-c", "kill -9 "+strconv.Itoa(before))
		m.awaitStatus(t, 60*time.Second, "online", before)
		t.Logf("online again after %v", time.Since(start).Round(100*time.Millisecond))
	})

	s.step("stop, start, restart", func(t *testing.T) {
		m.must(t, "sallyport-agent", "stop")
		s.await(t, s.agentID, "offline")
		if out, err := m.run("sallyport-agent", "status"); err == nil || !strings.Contains(out, "not running") || !strings.Contains(out, unit+" stopped") {
			t.Errorf("%v\n%s", err, out)
		}
		m.must(t, "sallyport-agent", "start")
		s.awaitOnline(t, s.agentID)
		before := m.pid(t, unit)
		m.must(t, "sallyport-agent", "restart")
		m.awaitStatus(t, 60*time.Second, "online", before)
	})

	s.step("root reads its log, pauses it, and knows why it was away", func(t *testing.T) {
		if out := m.must(t, "sallyport-agent", "logs", "-n", "0", "--level", "info"); strings.Count(out, "agent started") < 2 || !strings.Contains(out, "INFO") {
			t.Errorf("the log from the journal:\n%s", out)
		}
		relay := strings.TrimPrefix(s.api.Base, "https://") // an application with TLS like any other
		shown, _ := m.run("sallyport-agent", "trust", s.api.Base)
		fingerprint := regexp.MustCompile(`SHA-256 +(\S+)`).FindStringSubmatch(shown)
		if fingerprint == nil {
			t.Fatalf("trust shows\n%s", shown)
		}
		if out := m.must(t, "sallyport-agent", "trust", s.api.Base, "--yes", "--fingerprint", fingerprint[1]); !strings.Contains(out, "The running agent has it in use") {
			t.Errorf("trust says %s", out) // the agent's user has to read what root writes
		}
		m.must(t, "sallyport-agent", "trust", "--remove", relay)
		m.must(t, "sallyport-agent", "stop")
		s.await(t, s.agentID, "offline")
		m.must(t, "sallyport-agent", "pause", "--reason", "maintenance") // likewise
		m.must(t, "sallyport-agent", "start")
		s.await(t, s.agentID, "paused")
		m.must(t, "sallyport-agent", "resume")
		s.awaitOnline(t, s.agentID)
		// The last warning, however many other lines came after it.
		if out := m.must(t, "sallyport-agent", "logs", "-n", "1", "--level", "warn"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "WARN") {
			t.Errorf("the last warning: %q", out)
		}
		for line := range strings.Lines(m.must(t, "sallyport-agent", "logs", "-n", "30", "--json")) {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
		var history struct {
			Items []struct{ Cause, Detail string }
		}
		if err := s.api.Do(t.Context(), "GET", "/api/v1/agents/"+s.agentID+"/history", nil, &history); err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprint(history.Items)
		for _, want := range []string{"{stopped sallyport-agent stop (", "{stopped sallyport-agent restart (", "{crashed "} {
			if !strings.Contains(all, want) {
				t.Errorf("the history has no %s: %s", want, all)
			}
		}
	})

	other := s.agent(t, "Plant 2 warehouse")
	s.step("a second agent on the same machine", func(t *testing.T) {
		out, err := m.runWith([]string{"SALLYPORT_CODE=" + s.code(t, other)}, "sallyport-agent", append(install, "--instance", "second")...)
		if err != nil || !strings.Contains(out, `Online as plant2-a (agent "Plant 2 warehouse")`) {
			t.Fatalf("%v\n%s", err, out)
		}
		s.awaitOnline(t, other)
		s.awaitOnline(t, s.agentID)
		if m.pid(t, unit) == m.pid(t, second) {
			t.Error("one process serves both")
		}
		if out, err := m.run("setpriv", "--reuid=sallyport-agent-second", "--regid=sallyport-agent-second", "--clear-groups",
			"cat", "/var/lib/sallyport-agent/identity.json"); err == nil {
			t.Errorf("the second can read the first one's key: %s", out)
		}
		if out := m.must(t, "sallyport-agent", "status", "--instance", "second"); !strings.Contains(out, second+" running") {
			t.Error(out)
		}
	})

	s.step("an upgrade in place keeps the identity", func(t *testing.T) {
		before := s.instance(t, s.agentID)
		// Nothing is named again: not the relay, no code, no authority.
		out := m.must(t, "/root/download/newer", "install")
		if !strings.Contains(out, `Enrolled already, as agent "Plant 2 ERP"`) || !strings.Contains(out, "\nOnline as plant2-a") {
			t.Errorf("it said:\n%s", out)
		}
		after := s.instance(t, s.agentID)
		if after.ID != before.ID || after.Version != newer || before.Version == newer {
			t.Errorf("%+v became %+v", before, after)
		}
		if out := m.must(t, "sallyport-agent", "version"); !strings.Contains(out, newer) {
			t.Error(out)
		}
		if left := m.there("/usr/local/bin/sallyport-agent.previous", "/usr/local/bin/sallyport-agent.new"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})

	s.step("an upgrade that can't work changes nothing", func(t *testing.T) {
		before, err := os.ReadFile(m.path("/etc/sallyport-agent/agent.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		pid := m.pid(t, unit)
		out, err := m.run("/root/download/sallyport-agent", "install", "--proxy", "http://127.0.0.1:9")
		if err == nil || !strings.Contains(out, "nothing was changed") {
			t.Fatalf("%v\n%s", err, out)
		}
		after, err := os.ReadFile(m.path("/etc/sallyport-agent/agent.yaml"))
		if err != nil || string(after) != string(before) || m.pid(t, unit) != pid {
			t.Errorf("something changed: %v, process %d", err, m.pid(t, unit))
		}
	})

	s.step("the machine reboots, and both are back", func(t *testing.T) {
		m.halt(t, "reboot")
		s.await(t, s.agentID, "offline")
		m.boot(t)
		s.awaitOnline(t, s.agentID)
		s.awaitOnline(t, other)
	})

	s.step("after a boot without a network it is back when that comes", func(t *testing.T) {
		m.halt(t, "poweroff")
		s.await(t, s.agentID, "offline")
		m.site.Unplug(t, true)
		m.boot(t)
		if out := m.must(t, "systemctl", "is-active", unit); strings.TrimSpace(out) != "active" {
			t.Errorf("the service is %s", out)
		}
		if out, err := m.run("sallyport-agent", "status"); err == nil {
			t.Errorf("it claims to be online:\n%s", out)
		}
		m.site.Unplug(t, false)
		start := time.Now()
		s.awaitOnline(t, s.agentID)
		s.awaitOnline(t, other)
		t.Logf("online %v after the network was there", time.Since(start).Round(100*time.Millisecond))
	})

	s.step("uninstalled, it can be installed again as itself", func(t *testing.T) {
		before := s.instance(t, other)
		m.must(t, "sallyport-agent", "uninstall", "--instance", "second")
		if left := m.there("/etc/systemd/system/"+second, "/etc/systemd/system/multi-user.target.wants/"+second); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		s.await(t, other, "offline")
		m.must(t, "sallyport-agent", "install", "--instance", "second")
		if after := s.instance(t, other); after.ID != before.ID {
			t.Errorf("%+v became %+v", before, after)
		}
		m.must(t, "sallyport-agent", "uninstall", "--instance", "second", "--purge")
		s.awaitGone(t, other)
	})

	s.step("purged, nothing is left, here or at the relay", func(t *testing.T) {
		out := m.must(t, "sallyport-agent", "uninstall", "--purge")
		if !strings.Contains(out, "The relay has removed this machine") {
			t.Error(out)
		}
		s.awaitGone(t, s.agentID)
		if left := m.there(append(everything, "/etc/sallyport-agent-second", "/var/lib/sallyport-agent-second")...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		for _, account := range []string{"sallyport-agent", "sallyport-agent-second"} {
			if out, err := m.run("id", account); err == nil {
				t.Errorf("the account is there: %s", out)
			}
		}
		if out := m.must(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "sallyport-agent*"); strings.TrimSpace(out) != "" {
			t.Errorf("systemd still knows %s", out)
		}
		if out, err := m.run("systemctl", "--failed", "--plain", "--no-legend"); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("failed units: %v %s", err, out)
		}
	})

	s.step("from the Debian package", func(t *testing.T) { s.debian(t, install) })

	s.step("by the command of the relay's page", s.script)

	s.step("a relay from its Debian packages", s.relay)
}

// debian is the life of an agent whose program comes from the Debian package.
func (s *stage) debian(t *testing.T, install []string) {
	m := s.machine
	packages, err := filepath.Glob(filepath.Join(bin, "dist", "sallyport-agent_*.deb"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v, the packages are %v", err, packages)
	}
	m.carry(t, packages[0], "/root/download/agent.deb")
	m.must(t, "dpkg", "--install", "/root/download/agent.deb")
	if _, err := m.runWith([]string{"SALLYPORT_CODE=" + s.code(t, s.agentID)}, "/usr/bin/sallyport-agent", install...); err != nil {
		t.Fatal(err)
	}
	s.awaitOnline(t, s.agentID)
	before := s.instance(t, s.agentID)
	if before.Version != packaged || len(m.there("/usr/local/bin/sallyport-agent")) > 0 {
		t.Errorf("it is %+v; the program was copied: %v", before, m.there("/usr/local/bin/sallyport-agent"))
	}

	pid := m.pid(t, unit)
	m.must(t, "sh", "-c", "echo 'prxoy: none' >> /etc/sallyport-agent/agent.yaml") // with it, it would not start again
	if out := m.must(t, "dpkg", "--install", "/root/download/agent.deb"); !strings.Contains(out, "was not restarted") || m.pid(t, unit) != pid {
		t.Errorf("process %d became %d:\n%s", pid, m.pid(t, unit), out)
	}
	m.must(t, "sed", "-i", "/^prxoy/d", "/etc/sallyport-agent/agent.yaml")
	m.must(t, "dpkg", "--install", "/root/download/agent.deb") // as an upgrade is
	m.awaitStatus(t, 60*time.Second, "online", pid)
	if after := s.instance(t, s.agentID); after.ID != before.ID {
		t.Errorf("%+v became %+v", before, after)
	}

	m.must(t, "dpkg", "--remove", "sallyport-agent")
	s.await(t, s.agentID, "offline")
	if left := m.there("/etc/systemd/system/"+unit, "/usr/bin/sallyport-agent"); len(left) > 0 {
		t.Errorf("removed, there is %v", left)
	}
	m.must(t, "dpkg", "--install", "/root/download/agent.deb")
	m.must(t, "sallyport-agent", "install") // as itself
	if after := s.instance(t, s.agentID); after.ID != before.ID {
		t.Errorf("%+v became %+v", before, after)
	}
	m.must(t, "sallyport-agent", "uninstall", "--purge")
	s.awaitGone(t, s.agentID)
	if len(m.there("/usr/bin/sallyport-agent")) == 0 {
		t.Error("uninstall has removed what is the package's")
	}
	m.must(t, "dpkg", "--purge", "sallyport-agent")
	if left := m.there(append(everything, "/usr/bin/sallyport-agent")...); len(left) > 0 {
		t.Errorf("purged, there is %v", left)
	}
}

// pid is the main process of a unit.
func (m *machine) pid(t *testing.T, unit string) int {
	t.Helper()
	out := m.must(t, "systemctl", "show", "--value", "--property", "MainPID", unit)
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || pid == 0 {
		t.Fatalf("%s has no process: %q", unit, out)
	}
	return pid
}

// awaitStatus waits until another process than before says that it is so.
func (m *machine) awaitStatus(t *testing.T, within time.Duration, state string, before int) {
	t.Helper()
	testkit.Eventually(t, within, "the agent is "+state, func() error {
		out, _ := m.run("sallyport-agent", "status", "--json")
		if !strings.Contains(out, fmt.Sprintf(`"state": %q`, state)) {
			return errors.New(out)
		}
		if now := m.pid(t, unit); now == before {
			return fmt.Errorf("process %d is still the same", now)
		}
		return nil
	})
}
