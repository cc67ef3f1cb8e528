package testkit

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// squidHelpers is where Debian keeps the programs by which squid checks logins.
const squidHelpers = "/usr/lib/squid"

// Squid is a real squid that the test configured.
type Squid struct {
	Address string // host and port at which it listens
	dir     string
}

// SquidOptions say what a squid allows.
type SquidOptions struct {
	// Config are the lines of its configuration that matter: logins and rules.
	// Without any rule everything is refused.
	Config []string
	// Hosts are the names that it knows beside those of DNS, with an address
	// each.
	Hosts map[string]string
	// CertFile and KeyFile make it an https proxy.
	CertFile, KeyFile string
	// Dir holds files that its configuration names; "": none. See SquidDir.
	Dir string
	Env []string
}

// SquidDir makes a directory whose files squid can read: started as root, it
// goes on as a user without privileges.
func SquidDir(t testing.TB) string {
	t.Helper()
	Program(t, "squid", "/usr/sbin/squid")
	dir, err := os.MkdirTemp("", "sallyport-squid-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return dir
	}
	u, err := user.Lookup("proxy")
	if err != nil {
		Missing(t, "the user proxy", err.Error())
	}
	uid, err := strconv.Atoi(u.Uid)
	if err == nil {
		err = os.Chown(dir, uid, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// SquidHelper is the path of a program by which squid checks logins.
func SquidHelper(t testing.TB, name string) string {
	t.Helper()
	return Program(t, filepath.Join(squidHelpers, name))
}

// StartSquid starts a squid for the length of the test.
func StartSquid(t testing.TB, o SquidOptions) *Squid {
	t.Helper()
	path := Program(t, "squid", "/usr/sbin/squid")
	s := &Squid{Address: fmt.Sprintf("127.0.0.1:%d", FreePort(t)), dir: o.Dir}
	if s.dir == "" {
		s.dir = SquidDir(t)
	}
	port := "http_port " + s.Address
	if o.CertFile != "" {
		port = fmt.Sprintf("https_port %s tls-cert=%s tls-key=%s", s.Address, o.CertFile, o.KeyFile)
	}
	var hosts strings.Builder
	for name, address := range o.Hosts {
		fmt.Fprintln(&hosts, address, name)
	}
	config := append([]string{
		port,
		"hosts_file " + s.write(t, "hosts", hosts.String()),
		"logformat who %un %rm %ru %>Hs",
		"access_log stdio:" + filepath.Join(s.dir, "access.log") + " who",
		"cache_log " + filepath.Join(s.dir, "cache.log"),
		"coredump_dir " + s.dir,
		"dns_nameservers 127.0.0.1", // none: no question leaves the machine
		"pid_filename none", "netdb_filename none", "pinger_enable off", "cache deny all", "cache_mem 1 MB",
		"shutdown_lifetime 0 seconds", "visible_hostname squid.test",
	}, o.Config...)
	file := s.write(t, "squid.conf", strings.Join(append(config, "http_access deny all"), "\n")+"\n")
	process := Start(t, ProcessOptions{Name: "squid", Path: path, Args: []string{"-N", "-d", "1", "-f", file}, Env: o.Env})
	Eventually(t, 30*time.Second, "squid listens", func() error {
		select {
		case <-process.Done():
			t.Fatalf("squid ended: %v\n%s", process.Err(), process.Log())
		default:
		}
		conn, err := net.Dial("tcp", s.Address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return s
}

// write puts a file where squid can read it.
func (s *Squid) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Served are the requests that have ended, one a line: user, method, target,
// status. The user of a request without a login is "-".
func (s *Squid) Served(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "access.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
