package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

func TestDebsSayWhatTheyAre(t *testing.T) {
	dpkg := testkit.Program(t, "dpkg-deb")
	agent := file(t, debName("sallyport-agent", testVersion, "amd64"))
	wantParts(t, output(t, dpkg, "--field", agent), "Package: sallyport-agent\n", "Version: 1.2.3+4.g0a1b2c3\n", "Architecture: amd64\n")
	wantParts(t, output(t, dpkg, "--contents", agent), "-rwxr-xr-x root/root", " ./usr/bin/sallyport-agent\n", "./usr/share/doc/sallyport-agent/examples/agent.yaml")
	relay := file(t, debName("sallyport-relay", testVersion, "amd64"))
	wantParts(t, output(t, dpkg, "--contents", relay), "./usr/bin/sallyport-relay\n", "./usr/lib/systemd/system/sallyport-relay.service\n")
	wantParts(t, output(t, dpkg, "--info", relay, "conffiles"), "/etc/sallyport/relay.yaml\n")
	all := file(t, debName("sallyport-relay-downloads", testVersion, "all"))
	wantParts(t, output(t, dpkg, "--contents", all), "./usr/share/sallyport-relay/downloads/SHA256SUMS\n", "/sallyport-agent-windows-amd64.exe\n")
}

func TestRPMsSayWhatTheyAre(t *testing.T) {
	rpm := testkit.Program(t, "rpm")
	agent := file(t, rpmName("sallyport-agent", testVersion, "amd64"))
	wantParts(t, output(t, rpm, "-qp", "--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{BUILDHOST}", agent), "sallyport-agent 1.2.3+4.g0a1b2c3 1 x86_64 sallyport")
	wantParts(t, output(t, rpm, "-qpl", agent), "/usr/bin/sallyport-agent\n")
	wantParts(t, output(t, rpm, "-K", "--nosignature", agent), "digests OK")
	relay := file(t, rpmName("sallyport-relay", testVersion, "amd64"))
	wantParts(t, output(t, rpm, "-qpc", relay), "/etc/sallyport/relay.yaml\n")
	all := file(t, rpmName("sallyport-relay-downloads", testVersion, "all"))
	wantParts(t, output(t, rpm, "-qp", "--qf", "%{ARCH}", all), "noarch")
	wantParts(t, output(t, rpm, "-qpl", all), "/usr/share/sallyport-relay/downloads/SHA256SUMS\n")
}

func TestMaintainerScriptsAreSound(t *testing.T) {
	shellcheck := testkit.Program(t, "shellcheck")
	scripts, err := filepath.Glob("linux/*.sh")
	if err != nil || len(scripts) != 6 {
		t.Fatalf("%v, %v", scripts, err)
	}
	output(t, shellcheck, append([]string{"--shell=sh"}, scripts...)...)
}

// machine is a directory with so much of a Linux system that packages can be
// installed there: BusyBox, and a systemctl that notes what it was asked.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	testkit.Root(t)
	busybox := testkit.Program(t, "busybox")
	m := machine{t, t.TempDir()}
	for _, dir := range []string{"bin", "sbin", "dev", "etc/systemd/system", "run/systemd/system", "tmp", "usr/bin", "usr/sbin", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/rpm"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "cp", busybox, filepath.Join(m.root, "bin/busybox"))
	output(t, "chroot", m.root, "/bin/busybox", "--install", "-s")
	m.write("var/lib/dpkg/status", "")
	m.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	m.write("etc/group", "root:x:0:\n")
	for _, name := range []string{"systemctl", "useradd", "userdel"} {
		m.write("usr/bin/"+name, "#!/bin/sh\necho \""+name+" $*\" >>/asked\n")
	}
	m.write("usr/bin/getent", "#!/bin/sh\ngrep \"^$2:\" /etc/$1\n")
	m.write("asked", "")
	return m
}

func (m machine) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.root, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o755)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// asked is what systemctl and its like were asked since the last time.
func (m machine) asked() string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, "asked"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("asked", "")
	return string(text)
}

func (m machine) has(name string) bool {
	_, err := os.Lstat(filepath.Join(m.root, name))
	return err == nil
}

func (m machine) dpkg(args ...string) {
	m.t.Helper()
	testkit.Program(m.t, "dpkg")
	output(m.t, "dpkg", append([]string{"--root=" + m.root, "--force-depends", "--force-architecture", "--force-unsafe-io", "--force-confold"}, args...)...)
}

func (m machine) rpm(args ...string) {
	m.t.Helper()
	cmd := exec.Command(testkit.Program(m.t, "rpm"), append([]string{"--root", m.root, "--nodeps", "--nosignature"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("rpm %v: %v\n%s", args, err, out)
	}
}

// installService is what `sallyport-agent install` leaves, as far as packages
// are concerned.
func (m machine) installService(program string) {
	m.write("etc/systemd/system/sallyport-agent.service", "[Service]\nExecStart="+program+" run --data /var/lib/sallyport-agent\n")
	m.write("etc/systemd/system/sallyport-agent@plant2.service", "[Service]\nExecStart="+program+" run --data /var/lib/sallyport-agent-plant2\n")
	m.write("var/lib/sallyport-agent/identity.json", "{}")
	m.write("var/lib/sallyport-agent-plant2/identity.json", "{}")
	m.write("etc/sallyport-agent/agent.yaml", "")
	m.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsallyport-agent:x:990:990::/:\nsallyport-agent-plant2:x:991:991::/:\nsallyport-agentx:x:992:992::/:\n")
}

func TestDebOfTheAgentThroughItsLife(t *testing.T) {
	m := newMachine(t)
	deb := file(t, debName("sallyport-agent", testVersion, "amd64"))
	m.dpkg("--install", deb)
	if asked := m.asked(); asked != "" || !m.has("usr/bin/sallyport-agent") {
		t.Errorf("a first installation asked for %q", asked)
	}
	m.installService("/usr/bin/sallyport-agent")
	m.dpkg("--install", deb)
	if asked := m.asked(); asked != "systemctl try-restart sallyport-agent.service\nsystemctl try-restart sallyport-agent@plant2.service\n" {
		t.Errorf("an upgrade asked for %q", asked)
	}
	m.dpkg("--remove", "sallyport-agent")
	wantParts(t, m.asked(), "systemctl disable --now sallyport-agent.service\n", "systemctl disable --now sallyport-agent@plant2.service\n", "daemon-reload")
	if m.has("usr/bin/sallyport-agent") || m.has("etc/systemd/system/sallyport-agent.service") || !m.has("var/lib/sallyport-agent/identity.json") {
		t.Error("removal must take the program and its services, and leave the identity")
	}
	m.dpkg("--purge", "sallyport-agent")
	if m.has("var/lib/sallyport-agent") || m.has("var/lib/sallyport-agent-plant2") || m.has("etc/sallyport-agent") {
		t.Error("something was left after the purge")
	}
	if asked := m.asked(); asked != "userdel sallyport-agent\nuserdel sallyport-agent-plant2\n" {
		t.Errorf("the purge asked for %q", asked)
	}
}

func TestDebOfTheAgentLeavesAnotherInstallationAlone(t *testing.T) {
	m := newMachine(t)
	m.dpkg("--install", file(t, debName("sallyport-agent", testVersion, "amd64")))
	m.installService("/usr/local/bin/sallyport-agent")
	m.dpkg("--purge", "sallyport-agent")
	if !m.has("etc/systemd/system/sallyport-agent.service") || !m.has("var/lib/sallyport-agent/identity.json") || strings.Contains(m.asked(), "sallyport-agent.service") {
		t.Error("an agent that the package did not bring was touched")
	}
}

func TestRPMOfTheAgentThroughItsLife(t *testing.T) {
	m := newMachine(t)
	rpm := file(t, rpmName("sallyport-agent", testVersion, "amd64"))
	m.rpm("--install", "--ignorearch", rpm)
	m.installService("/usr/bin/sallyport-agent")
	m.asked()
	m.rpm("--upgrade", "--force", "--ignorearch", rpm)
	wantParts(t, m.asked(), "systemctl try-restart sallyport-agent.service\n")
	if !m.has("etc/systemd/system/sallyport-agent.service") {
		t.Error("the upgrade removed the service")
	}
	m.rpm("--erase", "sallyport-agent")
	wantParts(t, m.asked(), "systemctl disable --now sallyport-agent@plant2.service\n")
	if m.has("usr/bin/sallyport-agent") || !m.has("var/lib/sallyport-agent/identity.json") {
		t.Error("removal must take the program and leave the identity")
	}
}

func TestDebOfTheRelayThroughItsLife(t *testing.T) {
	m := newMachine(t)
	deb := file(t, debName("sallyport-relay", testVersion, "amd64"))
	m.dpkg("--install", deb)
	asked := m.asked()
	wantParts(t, asked, "useradd --system", "systemctl try-restart sallyport-relay.service\n")
	if strings.Contains(asked, "enable") || strings.Contains(asked, " start") {
		t.Errorf("it was started before anybody told it its address: %q", asked)
	}
	m.write("etc/sallyport/relay.yaml", "public-url: https://relay.example.com\n")
	m.write("var/lib/sallyport/sallyport.db", "")
	m.write("etc/passwd", "sallyport:x:990:990::/:\n")
	m.dpkg("--install", deb)
	if asked := m.asked(); strings.Contains(asked, "useradd") {
		t.Errorf("an upgrade asked for %q", asked)
	}
	if text, err := os.ReadFile(filepath.Join(m.root, "etc/sallyport/relay.yaml")); err != nil || !strings.Contains(string(text), "relay.example.com") {
		t.Errorf("the upgrade changed the configuration: %q, %v", text, err)
	}
	m.dpkg("--remove", "sallyport-relay")
	wantParts(t, m.asked(), "systemctl disable --now sallyport-relay.service\n")
	if !m.has("var/lib/sallyport/sallyport.db") || !m.has("etc/sallyport/relay.yaml") {
		t.Error("removal must leave the database and the configuration")
	}
	m.dpkg("--purge", "sallyport-relay")
	if m.has("var/lib/sallyport") || m.has("etc/sallyport/relay.yaml") {
		t.Error("something was left after the purge")
	}
}
