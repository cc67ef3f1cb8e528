//go:build unix

package balancer

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/testkit"
)

// front is a load balancer with TLS, as docs/relay.md configures it.
type front struct {
	address string // host and port at which it listens
	process *testkit.Process
	reload  func(t *testing.T)
}

// fronts are the two that the docs speak of. start begins one in front of two
// addresses; what is idle for longer than the given seconds is cut.
var fronts = map[string]func(t *testing.T, a *testkit.Authority, idle int, relays [2]string) *front{
	"nginx":   startNginx,
	"haproxy": startHAProxy,
}

// example is a configuration in docs/relay.md, with what each installation has
// of its own put in. Each of the pairs must occur, or the test would be of
// something else than the docs.
func example(t *testing.T, language string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.ModuleRoot(t), "docs", "relay.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(found) != 1 {
		t.Fatalf("docs/relay.md has %d examples of %s, want one", len(found), language)
	}
	config := found[0][1]
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(config, pairs[i]) {
			t.Fatalf("the example of %s lacks %q", language, pairs[i])
		}
		config = strings.ReplaceAll(config, pairs[i], pairs[i+1])
	}
	return config
}

func startNginx(t *testing.T, a *testkit.Authority, idle int, relays [2]string) *front {
	path := testkit.Program(t, "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	f := &front{address: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))}
	cert, key := a.Issue(t, dir, "front", "127.0.0.1")
	write(t, filepath.Join(dir, "sallyport.conf"), example(t, "nginx",
		"listen 443 ssl", "listen "+f.address+" ssl",
		"server 10.0.0.11:8080", "server "+relays[0], "server 10.0.0.12:8080", "server "+relays[1],
		"/etc/ssl/relay.pem", cert, "/etc/ssl/relay.key", key,
		"60s", fmt.Sprintf("%ds", idle)))
	// What the distribution's nginx.conf has around it. As the user of the
	// test, so that it can read the test's files.
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	main := filepath.Join(dir, "nginx.conf")
	write(t, main, user+`
worker_processes 2;
pid `+dir+`/pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path `+dir+`/body;
    proxy_temp_path       `+dir+`/proxy;
    fastcgi_temp_path     `+dir+`/fastcgi;
    uwsgi_temp_path       `+dir+`/uwsgi;
    scgi_temp_path        `+dir+`/scgi;
    include `+dir+`/sallyport.conf;
}
`)
	f.process = testkit.Start(t, testkit.ProcessOptions{Name: "nginx", Path: path, Args: []string{"-e", "stderr", "-p", dir, "-c", main, "-g", "daemon off;"}})
	f.reload = func(t *testing.T) {
		t.Helper()
		if err := f.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		f.await(t, "gracefully shutting down")
	}
	f.listens(t)
	return f
}

func startHAProxy(t *testing.T, a *testkit.Authority, idle int, relays [2]string) *front {
	path := testkit.Program(t, "haproxy", "/usr/sbin/haproxy")
	dir := t.TempDir()
	f := &front{address: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))}
	cert, key := a.Issue(t, dir, "front", "127.0.0.1")
	var both strings.Builder // it wants certificate and key in one file
	for _, file := range []string{cert, key} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both.Write(text)
	}
	bundle := filepath.Join(dir, "bundle.pem")
	write(t, bundle, both.String())
	config := filepath.Join(dir, "haproxy.cfg")
	write(t, config, example(t, "haproxy",
		"bind :443", "bind "+f.address,
		"server a 10.0.0.11:8080", "server a "+relays[0], "server b 10.0.0.12:8080", "server b "+relays[1],
		"/etc/haproxy/relay.pem", bundle,
		"maxconn 40000", "maxconn 2000", // as many files as a test may open
		"60s", fmt.Sprintf("%ds", idle)))
	// -W: a master that can reload; -db: in the foreground, messages to stderr.
	f.process = testkit.Start(t, testkit.ProcessOptions{Name: "haproxy", Path: path, Args: []string{"-W", "-db", "-f", config}})
	f.reload = func(t *testing.T) {
		t.Helper()
		before := len(f.process.Log().Lines("Loading success"))
		if err := f.process.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, patience, "haproxy has loaded its configuration anew", func() error {
			if n := len(f.process.Log().Lines("Loading success")); n == before {
				return fmt.Errorf("it says %s", f.process.Log().Tail(5))
			}
			return nil
		})
	}
	f.listens(t)
	return f
}

func (f *front) await(t *testing.T, text string) {
	t.Helper()
	testkit.Eventually(t, patience, f.process.Name()+" says "+text, func() error {
		if len(f.process.Log().Lines(text)) == 0 {
			return fmt.Errorf("it says %s", f.process.Log().Tail(5))
		}
		return nil
	})
}

func (f *front) listens(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, patience, f.process.Name()+" listens", func() error {
		select {
		case <-f.process.Done():
			t.Fatalf("%s ended: %v\n%s", f.process.Name(), f.process.Err(), f.process.Log())
		default:
		}
		conn, err := net.Dial("tcp", f.address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
