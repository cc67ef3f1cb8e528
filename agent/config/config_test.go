package config

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/agent/policy"
)

func TestExampleNamesEveryKeyWithItsDefault(t *testing.T) {
	c := Config{}
	if err := c.parse(Example); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(), c); diff != "" {
		t.Errorf("the example's values are not the defaults:\n%s", diff)
	}
	// With the commented keys switched on it must be read too.
	var on []string
	for _, line := range strings.Split(Example, "\n") {
		if key, _, ok := strings.Cut(strings.TrimPrefix(line, "# "), ": "); ok && !strings.Contains(key, " ") {
			line = strings.TrimPrefix(line, "# ")
		}
		on = append(on, line)
	}
	text := strings.Join(on, "\n")
	if err := c.parse(text); err != nil {
		t.Fatal(err)
	}
	for _, o := range Options() {
		if !strings.Contains(text, "\n"+o.Key+":") {
			t.Errorf("the example does not show %s", o.Key)
		}
		if _, ok := c.fields()[o.Key]; !ok {
			t.Errorf("option %s has no field", o.Key)
		}
	}
	if n := len(c.fields()); n != len(Options()) {
		t.Errorf("%d fields, %d options", n, len(Options()))
	}
}

func TestRulesKeepTheirLines(t *testing.T) {
	c := Defaults()
	if err := c.parse("# comment\npolicy:\n  rules:\n    - allow GET,POST https://erp.test:8443/api/** rate=50/s\n    # why\n    - \"deny * *://10.0.0.0/8:22\"\n  default: allow\n"); err != nil {
		t.Fatal(err)
	}
	want := Policy{Default: "allow", Rules: []policy.Line{{Text: "allow GET,POST https://erp.test:8443/api/** rate=50/s", Number: 4}, {Text: "deny * *://10.0.0.0/8:22", Number: 6}}}
	if diff := cmp.Diff(want, c.Policy); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"policy:\n", "policy: {}\n", "policy:\n  rules:\n"} {
		c := Defaults()
		if err := c.parse(text); err != nil || cmp.Diff(Policy{}, c.Policy) != "" {
			t.Errorf("%q: %+v, %v", text, c.Policy, err)
		}
	}
}

func TestFlagWinsOverEnvironmentOverFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("logLevel: warn\nlogFormat: console\nproxy: none\nallowPlaintextRelay: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SALLYPORT_LOG_FORMAT": "json", "SALLYPORT_PROXY": "environment", "SALLYPORT_ALLOW_PLAINTEXT_RELAY": "false"}
	c, err := Load(Sources{
		Flags: map[string]string{"data": dir, "proxy": "http://proxy:3128"},
		Env:   func(k string) (string, bool) { v, ok := env[k]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.DataDir, want.LogLevel, want.LogFormat, want.Proxy = dir, "warn", "json", "http://proxy:3128"
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if _, err := Load(Sources{File: filepath.Join(dir, "absent.yaml")}); err == nil {
		t.Error("a named file that does not exist was passed over")
	}
	env["SALLYPORT_ALLOW_PLAINTEXT_RELAY"] = "maybe"
	if _, err := Load(Sources{Env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}); err == nil || !strings.Contains(err.Error(), "SALLYPORT_ALLOW_PLAINTEXT_RELAY") {
		t.Errorf("error %v", err)
	}
}

func TestFaultyProxyIsNotQuoted(t *testing.T) {
	_, err := Config{TargetProxy: "ftp://user:hush@proxy"}.RequestProxy()
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "targetProxy") {
		t.Errorf("error %v", err)
	}
}

func TestPasswordOnTheCommandLineIsRefused(t *testing.T) {
	for _, name := range []string{"proxy", "target-proxy"} {
		_, err := Load(Sources{Flags: map[string]string{name: "http://svc:hush@proxy:3128"}})
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "--"+name) {
			t.Errorf("error %v", err)
		}
		if _, err := Load(Sources{Flags: map[string]string{name: "http://svc@proxy:3128"}}); err != nil {
			t.Error(err)
		}
	}
	env := func(k string) (string, bool) { return "http://svc:hush@proxy:3128", k == "SALLYPORT_PROXY" }
	if c, err := Load(Sources{Env: env}); err != nil || !strings.Contains(c.Proxy, "hush") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestIdentityIsPrivateAndComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	if _, err := LoadIdentity(dir); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("no identity: %v", err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{AgentID: "agt_1", InstanceID: "ins_1", AgentName: "Plant 2", RelayID: "r", Relay: "https://relay.test", Seed: key.Seed()}
	for range 2 { // the second replaces the first
		place, err := Reserve(dir, IdentityFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := place.Write(want); err != nil {
			t.Fatal(err)
		}
		place.Release()
	}
	got, err := LoadIdentity(dir)
	if err != nil || cmp.Diff(want, got) != "" || !got.Key().Equal(key) {
		t.Errorf("got %+v, %v", got, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

func TestIdentityThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, IdentityFile)
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(dir); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("error %v does not say what to do", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(dir); err == nil || !strings.Contains(err.Error(), "not complete") {
		t.Errorf("error %v", err)
	}
}

func TestParseRelay(t *testing.T) {
	for text, want := range map[string]string{"https://relay.test/": "https://relay.test", " http://127.0.0.1:8080 ": "http://127.0.0.1:8080", "https://x/sub/": "https://x/sub"} {
		if u, err := ParseRelay(text); err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", text, u, err)
		}
	}
	for _, text := range []string{"relay.test", "ftp://x", "https://", "https://u:p@x", "https://x?y", "://"} {
		if _, err := ParseRelay(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
