package config

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func noEnv(string) (string, bool) { return "", false }

func env(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := pairs[name]
		return v, ok
	}
}

func write(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nlog-level: warn\nlog-format: json\n")
	c, err := Load(Sources{
		Flags: map[string]string{"listen": "127.0.0.1:3"},
		Env:   env(map[string]string{"SALLYPORT_LISTEN": "127.0.0.1:2", "SALLYPORT_LOG_LEVEL": "error"}),
		File:  file,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Listen, c.LogLevel, c.LogFormat, c.Data}
	want := []string{"127.0.0.1:3", "error", "json", "./data"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func TestDefaultsFollowFromDataAndListen(t *testing.T) {
	c, err := Load(Sources{Env: noEnv, Flags: map[string]string{"data": "/var/lib/sallyport"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Database != "sqlite:/var/lib/sallyport/sallyport.db" || c.Keyset != "/var/lib/sallyport/keyset.json" {
		t.Errorf("database %q, keyset %q", c.Database, c.Keyset)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	if u := c.PublicURLFor(addr).String(); u != "http://127.0.0.1:8080" {
		t.Errorf("public URL %q", u)
	}
	c.TLSCert = "cert.pem"
	if u := c.PublicURLFor(addr).String(); u != "https://127.0.0.1:8080" {
		t.Errorf("public URL with TLS %q", u)
	}
}

// onPostgres are flags beside a database that relays can share.
func onPostgres(pairs ...string) map[string]string {
	flags := map[string]string{"database": "postgres://h/d"}
	for i := 0; i < len(pairs); i += 2 {
		flags[pairs[i]] = pairs[i+1]
	}
	return flags
}

func TestWhereOtherRelaysReachThisOne(t *testing.T) {
	for _, c := range []struct {
		flags map[string]string
		want  string
	}{
		{onPostgres("peer-listen", "10.0.0.11:8443"), "10.0.0.11:8443"},
		{onPostgres("peer-listen", "relay-a.internal:0"), "relay-a.internal:7777"},
		{onPostgres("peer-listen", ":8443", "peer-address", "relay-a.internal:9443"), "relay-a.internal:9443"},
		{onPostgres("peer-listen", "[::1]:8443"), "[::1]:7777"},
	} {
		c.flags["public-url"] = "http://x"
		conf, err := Load(Sources{Env: noEnv, Flags: c.flags})
		if err != nil {
			t.Errorf("%v: %v", c.flags, err)
			continue
		}
		port := 7777
		if strings.HasSuffix(c.flags["peer-listen"], "11:8443") {
			port = 8443
		}
		if got := conf.PeerAddressFor(&net.TCPAddr{Port: port}); got != c.want {
			t.Errorf("%v: %s, want %s", c.flags, got, c.want)
		}
	}
}

func TestListInFileAndInFlag(t *testing.T) {
	file := write(t, "allow-private-targets:\n  - loopback\n  - 10.0.0.0/8\ntrusted-proxies: 10.0.0.1, 192.168.0.0/16\n")
	c, err := Load(Sources{Env: noEnv, File: file})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(c.AllowPrivate, " ") != "loopback 10.0.0.0/8" {
		t.Errorf("allow-private-targets %q", c.AllowPrivate)
	}
	if len(c.TrustProxies) != 2 || c.TrustProxies[0].String() != "10.0.0.1/32" {
		t.Errorf("trusted-proxies %v", c.TrustProxies)
	}
}

func TestFaultsSayWhereAndWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags map[string]string
		env   map[string]string
		file  string
		want  []string
	}{
		{name: "misspelt key", file: "data: x\nlissten: y\n", want: []string{"relay.yaml:2", `"lissten"`, `did you mean "listen"?`}},
		{name: "key written as the variable", file: "PUBLIC_URL: http://x\n", want: []string{`did you mean "public-url"?`}},
		{name: "key like no other", file: "zzzzzz: y\n", want: []string{`unknown key "zzzzzz"`}},
		{name: "key twice", file: "data: x\ndata: y\n", want: []string{"relay.yaml:2", "already"}},
		{name: "not YAML", file: "data: [x\n", want: []string{"relay.yaml", "line"}},
		{name: "no mapping", file: "- x\n", want: []string{"relay.yaml:1"}},
		{name: "list for one value", file: "data: [a, b]\n", want: []string{"relay.yaml:1", "one value"}},
		{name: "bootstrap token in the file", file: "bootstrap-token: x\n", want: []string{"SALLYPORT_BOOTSTRAP_TOKEN only"}},
		{name: "faulty value in the file", file: "\nlog-level: loud\n", want: []string{"relay.yaml:2: log-level", "debug, info, warn, error"}},
		{name: "two faults at once", flags: map[string]string{"log-level": "loud"}, env: map[string]string{"SALLYPORT_PUBLIC_URL": "ftp://x"}, want: []string{"--log-level", "SALLYPORT_PUBLIC_URL"}},
		{name: "every address without a public URL", flags: map[string]string{"listen": ":8080"}, want: []string{"public-url is needed", "https://relay.example.com"}},
		{name: "listen without a port", flags: map[string]string{"listen": "localhost"}, want: []string{"HOST:PORT"}},
		{name: "public URL with a path", flags: map[string]string{"public-url": "https://x/y"}, want: []string{"root of its host"}},
		{name: "certificate without key", flags: map[string]string{"tls-cert": "x"}, want: []string{"tls-key"}},
		{name: "unknown database", flags: map[string]string{"database": "mysql://u:hunter2@h/d"}, want: []string{"--database", "sqlite:PATH"}},
		{name: "faulty proxy", flags: map[string]string{"trusted-proxies": "proxy.lan"}, want: []string{"proxy.lan"}},
		{name: "agent-wait without end", flags: map[string]string{"agent-wait": "1h"}, want: []string{"--agent-wait", "5m"}},
		{name: "faulty size", file: "max-request-body: large\n", want: []string{"relay.yaml:1: max-request-body", "500MB"}},
		{name: "faulty number", flags: map[string]string{"connects-per-address": "many"}, want: []string{"--connects-per-address", "many"}},
		{name: "relays among each other on SQLite", flags: map[string]string{"peer-listen": "10.0.0.11:8443"}, want: []string{"peer-listen", "SQLite", "postgres://"}},
		{name: "peer-listen without a port", flags: onPostgres("peer-listen", "10.0.0.11"), want: []string{"peer-listen", "HOST:PORT"}},
		{name: "peer-listen on every address", flags: onPostgres("peer-listen", ":8443"), want: []string{"peer-address is needed", "10.0.0.11:8443"}},
		{name: "peer-listen on the main port", flags: onPostgres("peer-listen", "127.0.0.1:8080"), want: []string{"port of its own"}},
		{name: "peer-address alone", flags: onPostgres("peer-address", "10.0.0.11:8443"), want: []string{"peer-listen", "or neither"}},
		{name: "peer-address that is everywhere", flags: onPostgres("peer-listen", ":8443", "peer-address", "0.0.0.0:8443"), want: []string{"peer-address", "10.0.0.11:8443"}},
		{name: "peer-address without a port", flags: onPostgres("peer-listen", ":8443", "peer-address", "relay-a"), want: []string{"peer-address", "HOST:PORT"}},
		{name: "faulty duration", flags: map[string]string{"drain-timeout": "20"}, want: []string{"20s"}},
		{name: "drain-delay before now", flags: map[string]string{"drain-delay": "-5s"}, want: []string{"--drain-delay", "-5s"}},
		{name: "drain-timeout without end", flags: map[string]string{"drain-timeout": "20000h"}, want: []string{"--drain-timeout", "24h"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := Sources{Flags: c.flags, Env: env(c.env)}
			if c.file != "" {
				from.File = write(t, c.file)
			}
			_, err := Load(from)
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q shows a password", err)
			}
		})
	}
}

func TestBootstrapTokenComesFromTheEnvironmentAlone(t *testing.T) {
	c, err := Load(Sources{
		Flags: map[string]string{"bootstrap-token": "from-a-flag"},
		Env:   env(map[string]string{"SALLYPORT_BOOTSTRAP_TOKEN": "from-the-environment"}),
	})
	if err != nil || c.BootstrapToken != "from-the-environment" {
		t.Fatalf("%v, %v", c, err)
	}
}

func TestEmptyFileIsNoFault(t *testing.T) {
	if _, err := Load(Sources{Env: noEnv, File: write(t, "# nothing yet\n")}); err != nil {
		t.Fatal(err)
	}
}
