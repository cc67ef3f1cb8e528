package systemd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// treePath is where tree.sh puts what is booted.
func treePath() string {
	return cmp.Or(os.Getenv("SALLYPORT_TEST_TREE"), "/var/cache/sallyport-test/debian-12")
}

// tree is what tree.sh made.
func tree(t *testing.T) string {
	dir := treePath()
	if _, err := os.Stat(filepath.Join(dir, "etc/debian_version")); err != nil {
		testkit.Missing(t, "a Debian to boot", dir+" is not there: scripts/e2e/systemd/tree.sh makes it")
	}
	return dir
}

// machine is a Debian with systemd that is booted in a container, inside a
// site's network.
type machine struct {
	t       *testing.T
	site    *testkit.Site
	root    string
	name    string
	process *testkit.Process
	log     *testkit.Log
	leader  string // process id of its systemd
}

// newMachine copies the tree and boots it.
func newMachine(t *testing.T, site *testkit.Site) *machine {
	t.Helper()
	m := &machine{t: t, site: site, root: filepath.Join(t.TempDir(), "root"), name: "plant2-a", log: &testkit.Log{}}
	if out, err := exec.Command("cp", "-a", "--reflink=auto", tree(t), m.root).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}
	m.write("/etc/hostname", m.name+"\n")
	m.write("/etc/hosts", "127.0.0.1 localhost "+m.name+"\n")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the machine wrote:\n%s", m.log.Tail(60))
		}
	})
	m.boot(t)
	return m
}

// boot starts the machine and waits until it has come up.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	m.process = testkit.Start(m.t, testkit.ProcessOptions{
		Name: "systemd-nspawn", Path: testkit.Program(t, "systemd-nspawn"), Log: m.log,
		Args: []string{"--quiet", "--register=no", "--keep-unit", "--network-namespace-path=/run/netns/" + m.site.Name,
			"--hostname=" + m.name, "--resolv-conf=off", "--timezone=off", "--directory=" + m.root, "--boot"},
	})
	testkit.Eventually(t, 90*time.Second, "the machine boots", func() error {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", m.process.PID()))
		if err != nil {
			return err
		}
		leader, _, _ := strings.Cut(strings.TrimSpace(string(children)), " ")
		if leader == "" {
			return errors.New("it has no first process yet")
		}
		m.leader = leader
		state, _ := m.run("systemctl", "is-system-running") // its exit status says that it is not
		if state := strings.TrimSpace(state); state != "running" && state != "degraded" {
			return fmt.Errorf("systemd says %q", state)
		}
		return nil
	})
}

// halt ends the machine in order, by "poweroff" or "reboot". After either it is
// the container's owner who boots it again, as firmware does.
func (m *machine) halt(t *testing.T, how string) {
	t.Helper()
	_, _ = m.run("systemctl", how) // it cuts off whoever asks
	select {
	case <-m.process.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("the machine does not go down")
	}
}

// run runs a program on the machine as root.
func (m *machine) run(name string, args ...string) (string, error) {
	return m.runWith(nil, name, args...)
}

func (m *machine) runWith(env []string, name string, args ...string) (string, error) {
	cmd, cancel := m.command(env, name, args...)
	defer cancel()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// command is a program to be run on the machine as root. It is killed after two
// minutes, and by cancel.
func (m *machine) command(env []string, name string, args ...string) (cmd *exec.Cmd, cancel func()) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 120*time.Second)
	full := append([]string{"-t", m.leader, "-m", "-u", "-i", "-n", "-p", "--", name}, args...)
	cmd = exec.CommandContext(ctx, "nsenter", full...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"}, env...)
	return cmd, cancel
}

// must is run for what has to succeed.
func (m *machine) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := m.run(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// path is where a file of the machine lies on this one.
func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) write(name, content string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// carry copies a program onto the machine.
func (m *machine) carry(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	m.write(to, string(content))
	if err := os.Chmod(m.path(to), 0o755); err != nil {
		t.Fatal(err)
	}
}

// there lists which of the machine's paths exist.
func (m *machine) there(names ...string) []string {
	var found []string
	for _, name := range names {
		if _, err := os.Lstat(m.path(name)); err == nil {
			found = append(found, name)
		}
	}
	return found
}
