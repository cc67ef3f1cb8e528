package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachSettingSaysWhoSetIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, []byte("\nproxyUser: svc\nlogLevel: warn\npolicy:\n  rules:\n    - deny * *://10.0.0.0/8:22\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SALLYPORT_PROXY": "http://svc:hush@proxy:3128"}
	settings, err := Explain(Sources{
		Flags: map[string]string{"data": dir, "log-level": "debug"},
		Env:   func(k string) (string, bool) { v, ok := env[k]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Setting{}
	for _, s := range settings {
		got[s.Key] = s
		if strings.Contains(s.YAML, "hush") {
			t.Errorf("a password is shown: %s", s.YAML)
		}
	}
	for _, want := range []Setting{
		{"proxy", "SALLYPORT_PROXY", "proxy: http://svc:***@proxy:3128\n"},
		{"proxyUser", path + ":2", "proxyUser: svc\n"},
		{"logLevel", "--log-level", "logLevel: debug\n"},
		{"logFormat", "default", "logFormat: json\n"},
		{"policy", path + ":4", "policy:\n    rules:\n        - deny * *://10.0.0.0/8:22\n"},
	} {
		if diff := cmp.Diff(want, got[want.Key]); diff != "" {
			t.Error(diff)
		}
	}
	if len(settings) != len(Options()) {
		t.Errorf("%d settings, %d keys", len(settings), len(Options()))
	}
}

func TestPasswordsOfProxiesAreMasked(t *testing.T) {
	for value, want := range map[string]string{
		"none": "none", "http://p:1": "http://p:1", "http://svc@p:1": "http://svc@p:1",
		"http://svc:hush@p": "http://svc:***@p", "svc:hush@p:3128": "svc:***@p:3128", "http://svc:hu@sh@p": "http://svc:***@p", "http://svc:hu%zz@p": "http://svc:***@p",
	} {
		if got := maskURL(value); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

func TestVersionTellsValuesApartButNotSecrets(t *testing.T) {
	a, b := Defaults(), Defaults()
	a.Proxy, b.Proxy = "http://svc:one@p", "http://svc:two@p"
	if a.Version() != b.Version() || len(a.Version()) != 8 {
		t.Errorf("%s, %s", a.Version(), b.Version())
	}
	b.LogLevel = "debug"
	if a.Version() == b.Version() {
		t.Error("the level makes no difference")
	}
	if diff := cmp.Diff([]string{"proxy", "logLevel"}, Changed(a, b)); diff != "" {
		t.Error(diff)
	}
}

func TestKeysThatNeedARestart(t *testing.T) {
	before, after := Defaults(), Defaults()
	after.Relay, after.LogLevel = "https://other", "debug"
	keys := NeedRestart(before, after)
	kept := after.Keeping(keys, before)
	if diff := cmp.Diff([]string{"relay"}, keys); diff != "" || kept.Relay != "" || kept.LogLevel != "debug" || after.Relay != "https://other" {
		t.Errorf("%s%+v", diff, kept)
	}
	for _, key := range append(restartKeys, RelayKeys...) {
		if _, ok := after.fields()[key]; !ok {
			t.Errorf("%s is no key", key)
		}
	}
}
