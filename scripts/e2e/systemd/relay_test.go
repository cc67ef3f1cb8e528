package systemd

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// relay is the life of a relay that comes from its Debian packages.
func (s *stage) relay(t *testing.T) {
	m := s.machine
	if len(m.there("/usr/bin/curl")) == 0 {
		testkit.Missing(t, "curl in the Debian to boot", "scripts/e2e/systemd/tree.sh makes a new one")
	}
	packages, err := filepath.Glob(filepath.Join(bin, "dist", "sallyport-relay*.deb"))
	if err != nil || len(packages) != 2 {
		t.Fatalf("%v, the packages are %v", err, packages)
	}
	install := []string{"--install"}
	for _, path := range packages {
		to := "/root/download/" + filepath.Base(path)
		m.carry(t, path, to)
		install = append(install, to)
	}
	const unit = "sallyport-relay.service"
	m.must(t, "dpkg", install...)
	if out, _ := m.run("systemctl", "is-active", unit); strings.TrimSpace(out) != "inactive" {
		t.Errorf("before it was started, it is %s", out)
	}
	m.must(t, "systemctl", "enable", "--now", unit)
	ready := func() {
		testkit.Eventually(t, 30*time.Second, "the relay is ready", func() error {
			_, err := m.run("curl", "-fsS", "http://127.0.0.1:8080/readyz")
			return err
		})
	}
	ready()
	if out := m.must(t, "curl", "-fsS", "http://127.0.0.1:8080/downloads/"); !strings.Contains(out, `"sallyport-agent-linux-`) {
		t.Errorf("it has nothing to download: %s", out)
	}
	out := m.must(t, "setpriv", "--reuid=sallyport", "--regid=sallyport", "--clear-groups",
		"sallyport-relay", "user", "link", "--config", "/etc/sallyport/relay.yaml")
	if !strings.Contains(out, "/sign-in/link/") {
		t.Error(out)
	}
	if log := m.must(t, "journalctl", "--no-pager", "--unit", unit); strings.Contains(log, "/sign-in/link/") {
		t.Error("the journal shows a sign-in link")
	}
	if out := m.must(t, "systemd-analyze", "verify", unit); out != "" {
		t.Errorf("systemd has something to say about the unit:\n%s", out)
	}

	before := m.pid(t, unit)
	m.must(t, "dpkg", install...) // as an upgrade is
	ready()
	if m.pid(t, unit) == before {
		t.Error("after the upgrade the earlier program runs")
	}
	m.must(t, "dpkg", "--remove", "sallyport-relay", "sallyport-relay-downloads")
	if len(m.there("/var/lib/sallyport/sallyport.db", "/etc/sallyport/relay.yaml")) != 2 || len(m.there("/usr/bin/sallyport-relay")) > 0 {
		t.Error("removal must leave the data and take the program")
	}
	m.must(t, "dpkg", "--purge", "sallyport-relay")
	if left := m.there("/var/lib/sallyport", "/etc/sallyport"); len(left) > 0 {
		t.Errorf("purged, there is %v", left)
	}
}
