package signin

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// server is a web server of Debian's with a user in it, inside the site or
// beside the relay. Below each of its folders lies a program that writes down
// each body that it is given, and shows who sent it.
type server struct {
	url string
	dir string // its document root
}

// The user, and what would break a header that is put together carelessly.
const userOfServers, passwordOfServers = "svc", `p:ä"s\s`

// place makes a document root with the folders.
func place(t *testing.T, folders ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	const program = `#!/bin/sh
cat >"$(dirname "$SCRIPT_FILENAME")/body.$$"
cat "$(dirname "$SCRIPT_FILENAME")"/body.$$ >>"$(dirname "$SCRIPT_FILENAME")/acted"; echo >>"$(dirname "$SCRIPT_FILENAME")/acted"
printf 'Content-Type: text/plain\r\n\r\n%s %s' "$REMOTE_USER" "$REQUEST_METHOD"
`
	for _, folder := range append(folders, ".") {
		at := filepath.Join(s.dir, folder)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{at, filepath.Dir(s.dir), s.dir} {
			if err := os.Chmod(dir, 0o777); err != nil { // one of the servers insists on being nobody
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(at, "who.sh"), []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// acted is what a folder's program was given, in order.
func (s *server) acted(t *testing.T, folder string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, folder, "acted"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// file writes a file of the server's configuration.
func (s *server) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the program and waits until it listens.
func (s *server) start(t *testing.T, site *testkit.Site, address, program string, args ...string) {
	t.Helper()
	s.url = "http://" + address
	p := testkit.Start(t, testkit.ProcessOptions{Name: filepath.Base(program), Path: program, Args: args, Site: site})
	testkit.Eventually(t, 20*time.Second, program+" listens", func() error {
		select {
		case <-p.Done():
			t.Fatalf("%s has ended: %v\n%s", program, p.Err(), p.Log())
		default:
		}
		return testkit.DialIn(site, address)
	})
}

// startLighttpd serves /basic, /sha256 and /md5, each with the authentication of
// that name.
func startLighttpd(t *testing.T, site *testkit.Site) *server {
	t.Helper()
	program := program(t, "/usr/sbin/lighttpd")
	s := place(t, "basic", "sha256", "md5")
	users := s.file(t, "users", userOfServers+":"+passwordOfServers+"\n")
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(testkit.FreePort(t)))
	_, port, _ := net.SplitHostPort(address)
	config := s.file(t, "lighttpd.conf", fmt.Sprintf(`
server.modules = ("mod_auth", "mod_authn_file", "mod_cgi")
server.document-root = %q
server.bind = "127.0.0.1"
server.port = %s
cgi.assign = (".sh" => "/bin/sh")
auth.backend = "plain"
auth.backend.plain.userfile = %q
auth.require = (
  "/basic" => ("method" => "basic", "realm" => "erp", "require" => "valid-user"),
  "/sha256" => ("method" => "digest", "algorithm" => "SHA-256", "realm" => "erp", "require" => "valid-user"),
  "/md5" => ("method" => "digest", "algorithm" => "MD5", "realm" => "erp", "require" => "valid-user"),
)
`, s.dir, port, users))
	s.start(t, site, address, program, "-D", "-f", config)
	return s
}

// startApache serves /md5 by the reference implementation of Digest, whose
// nonces end after a second.
func startApache(t *testing.T, site *testkit.Site) *server {
	t.Helper()
	program := program(t, "/usr/sbin/apache2")
	modules := "/usr/lib/apache2/modules"
	s := place(t, "md5")
	sum := md5.Sum([]byte(userOfServers + ":erp:" + passwordOfServers))
	users := s.file(t, "users", userOfServers+":erp:"+hex.EncodeToString(sum[:])+"\n")
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(testkit.FreePort(t)))
	var load strings.Builder
	for _, m := range []string{"mpm_prefork", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest", "cgi", "mime"} {
		if _, err := os.Stat(filepath.Join(modules, "mod_"+m+".so")); err == nil { // some are built in
			fmt.Fprintf(&load, "LoadModule %s_module %s/mod_%s.so\n", m, modules, m)
		}
	}
	config := s.file(t, "apache.conf", fmt.Sprintf(`ServerName erp
ServerRoot %[1]q
Listen %[2]s
PidFile %[1]s/apache.pid
ErrorLog /dev/stderr
User nobody
Group nogroup
TypesConfig /dev/null
%[3]s
DocumentRoot %[1]q
AddHandler cgi-script .sh
<Directory %[1]q>
  Options +ExecCGI
  Require all granted
</Directory>
<Location /md5>
  AuthType Digest
  AuthName erp
  AuthDigestProvider file
  AuthUserFile %[4]q
  AuthDigestNonceLifetime 1
  Require valid-user
</Location>
`, s.dir, address, load.String(), users))
	s.start(t, site, address, program, "-X", "-f", config)
	return s
}

// program is a server, which need not be on the PATH.
func program(t *testing.T, path string) string {
	t.Helper()
	if found, err := exec.LookPath(path); err == nil {
		return found
	}
	testkit.Missing(t, filepath.Base(path), "it is no program at "+path)
	return ""
}
