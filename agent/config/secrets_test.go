package config

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/agent/hostpattern"
	"sallyport/agent/secret"
)

func TestSecretsAreRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths of Unix")
	}
	c := Defaults()
	if err := c.parse(`
secrets:
  erp: {file: /etc/erp, hosts: [erp.test, "*.plant2.test:8443"], keepFor: 1m}
  key:
    env: KEY
  cmd:
    command: [/usr/bin/get, "a b"]
    timeout: 3s
  v:
    vault: {path: plant2/lims, field: password}
vault:
  address: https://vault.test:8200
  roleId: r
  secretIdFile: /etc/sid
`); err != nil {
		t.Fatal(err)
	}
	pattern := func(text string) hostpattern.Pattern {
		p, err := hostpattern.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	got := map[string]secret.Source{}
	for name, s := range c.Secrets {
		source, err := s.source(name)
		if err != nil {
			t.Error(err)
		}
		got[name] = source
	}
	want := map[string]secret.Source{
		"erp": {File: "/etc/erp", Hosts: []hostpattern.Pattern{pattern("erp.test"), pattern("*.plant2.test:8443")}, KeepFor: time.Minute},
		"key": {Variable: "KEY"},
		"cmd": {Command: []string{"/usr/bin/get", "a b"}, Timeout: 3 * time.Second},
		"v":   {Vault: &secret.VaultPath{Path: "plant2/lims", Field: "password"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Vault{Address: "https://vault.test:8200", RoleID: "r", SecretIDFile: "/etc/sid"}, c.Vault); diff != "" {
		t.Error(diff)
	}
	if _, err := c.PrepareSecrets(); err != nil {
		t.Error(err)
	}
}

func TestFaultySecretsNameLineAndKey(t *testing.T) {
	for text, want := range map[string]string{
		"secrets: x\n":                                        "line 1: secrets: expected names and, below each,",
		"secrets:\n  erp: x\n":                                "line 2: secrets.erp: expected keys and values below it",
		"secrets:\n  erp:\n":                                  "line 2: secrets.erp: expected exactly one of file, env, command and vault",
		"secrets:\n  erp:\n    flie: /x\n":                    `line 3: secrets.erp: unknown key "flie"; did you mean "file"?`,
		"secrets:\n  erp: {env: A}\n  erp: {env: B}\n":        `line 3: secrets: key "erp" stands on line 2 already`,
		"secrets:\n  a: {env: A}\n  b: {env: A, file: /x}\n":  "line 3: secrets.b: expected exactly one of file, env, command and vault",
		"secrets:\n  erp: {hosts: [a]}\n":                     "expected exactly one of",
		"secrets:\n  erp: {file: x}\n":                        `file: "x" is not a whole path`,
		"secrets:\n  erp: {command: get}\n":                   "command: expected a list",
		"secrets:\n  erp: {command: [get]}\n":                 `command: "get" is not a whole path`,
		"secrets:\n  erp: {env: A, hosts: [\"https://x\"]}\n": `hosts: "https://x" is no host`,
		"secrets:\n  erp: {env: A, keepFor: soon}\n":          "keepFor: expected a duration",
		"secrets:\n  erp: {env: A, timeout: 1s}\n":            "timeout is for a command",
		"secrets:\n  erp: {env: A, keepFor: -1s}\n":           "a time can't be negative",
		"secrets:\n  erp: {command: [/x], timeout: 24h}\n":    "timeout: a command may take 5m0s at most",
		"secrets:\n  \"a b\": {env: A}\n":                     "a name has up to 64",
		"secrets:\n  erp: {vault: {field: x}}\n":              "line 2: secrets.erp: vault: path is missing",
		"secrets:\n  erp:\n    vault:\n      pth: x\n":        `line 4: secrets.erp.vault: unknown key "pth"; did you mean "path"?`,
		"vault:\n  adress: https://x\n":                       `line 2: vault: unknown key "adress"; did you mean "address"?`,
	} {
		if err := Check(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}
