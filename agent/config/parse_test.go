package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"reflect"
)

func TestFaultyFilesNameLineAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "logLevel: info\nprxoy: none\n", []string{`agent.yaml:2: unknown key "prxoy"; did you mean "proxy"?`}},
		{"a letter too few", "logFormt: json\n", []string{`agent.yaml:1: unknown key "logFormt"; did you mean "logFormat"?`}},
		{"letters swapped", "logFromat: json\n", []string{`agent.yaml:1: unknown key "logFromat"; did you mean "logFormat"?`}},
		{"another case", "LogLevel: info\n", []string{`agent.yaml:1: unknown key "LogLevel"; did you mean "logLevel"?`}},
		{"another spelling", "ca_file: /x\n", []string{`agent.yaml:1: unknown key "ca_file"; did you mean "caFile"?`}},
		{"a key that is no text", "1: x\n", []string{`agent.yaml:1: unknown key "1"; did you mean "relay"?`}},
		{"a merged mapping", "<<: {relay: x}\n", []string{`agent.yaml:1: unknown key "<<"; did you mean "relay"?`}},
		{"a key that is a list", "? [a]\n: b\n", []string{`agent.yaml:1: expected a key and its value, such as "logLevel: debug"`}},
		{"the same key twice", "logLevel: info\nlogLevel: debug\n", []string{`agent.yaml:2: key "logLevel" stands on line 1 already`}},
		{"the wrong type", "allowPlaintextRelay: perhaps\n", []string{`agent.yaml:1: allowPlaintextRelay: expected true or false`}},
		{"keys in place of text", "relay:\n  url: https://x\n", []string{`agent.yaml:2: relay: expected text`}},
		{"a list in place of keys", "- relay\n", []string{`agent.yaml:1: expected keys and values, such as "logLevel: debug"`}},
		{"text in place of keys", "relay\n", []string{`agent.yaml:1: expected keys and values, such as "logLevel: debug"`}},
		{"two documents", "logLevel: info\n---\nlogLevel: x\n", []string{`agent.yaml:2: more than one document: take this line out, and what follows it`}},
		{"no YAML", "relay: [\n", []string{`agent.yaml:1: this is not YAML: did not find expected node content`}},
		{"tabs", "policy:\n\trules:\n\t  - allow * https://x\n", []string{`agent.yaml:2: a tab in the indentation: YAML takes spaces only`, `agent.yaml:3: a tab in the indentation: YAML takes spaces only`}},
		{"not UTF-8", "logLevel: info\nproxyUser: j\xfcrgen\n", []string{`agent.yaml:2: this line is not UTF-8: save the file as UTF-8`}},
		{"UTF-16, as PowerShell redirects", "\xff\xfel\x00", []string{`agent.yaml:1: the file is in UTF-16: save it as UTF-8`}},
		{"an alias", "relay: &r https://x\nproxyUser: *r\n", []string{`agent.yaml:2: proxyUser: expected the value itself in place of *r`}},
		{"an alias of what holds it", "policy: &p\n  rules: [*p]\n", []string{`agent.yaml:2: policy: rules: expected a rule, such as allow GET https://erp.plant2.internal/api/**`}},
		{"values", "relay: relay.test\nproxy: ftp://svc:hush@p\ntargetProxy: system\nmaxRequestBody: much\nlogLevel: loud\nlogFormat: xml\n", []string{
			`agent.yaml:1: relay: the relay's URL "relay.test" is not of the form https://relay.example.com`,
			`agent.yaml:2: proxy: expected "system", "environment", "none" or a URL that begins with http://, https:// or socks5://`,
			`agent.yaml:3: targetProxy: expected "none", "environment" or a URL that begins with http://, https:// or socks5://`,
			`agent.yaml:4: maxRequestBody: "much" is not a size such as 500MB or 2GiB`,
			`agent.yaml:5: logLevel: log level "loud": choose debug, info, warn or error`,
			`agent.yaml:6: logFormat: "xml": choose json or console`,
		}},
		{"a word for a proxy that is nearly one", "proxy: Sytem\ntargetProxy: enviroment\n", []string{
			`agent.yaml:1: proxy: "Sytem": did you mean "system"?`, `agent.yaml:2: targetProxy: "enviroment": did you mean "environment"?`}},
		{"policy", "policy: open\n", []string{`agent.yaml:1: policy: expected rules: and, below it, one rule a line`}},
		{"in a section", "policy:\n  ruels: []\n  default: maybe\n  default: allow\n", []string{
			`agent.yaml:2: policy: unknown key "ruels"; did you mean "rules"?`,
			`agent.yaml:3: policy: default: expected allow or deny`,
			`agent.yaml:4: policy: key "default" stands on line 3 already`}},
		{"rules that are no list", "policy:\n  rules: allow\n", []string{`agent.yaml:2: policy: rules: expected a list, each rule on a line of its own that begins with "- "`}},
		{"every faulty rule", "policy:\n  rules:\n  - a: b\n  - allow GET https://x\n\n  - alow GET https://x\n  - deny GTE://x\n", []string{
			`agent.yaml:3: policy: rules: expected a rule, such as allow GET https://erp.plant2.internal/api/**`,
			`agent.yaml:6: policy: rule "alow GET https://x": "alow" can't begin a rule: write allow or deny`,
			`agent.yaml:7: policy: rule "deny GTE://x": "GTE" is no scheme: write http, https, or * for both`}},
		{"all at once, by line", "prxoy: x\nlogLevel: loud\npolicy:\n  rule: []\nallowPlaintextRelay: 7\n", []string{
			`agent.yaml:1: unknown key "prxoy"; did you mean "proxy"?`,
			`agent.yaml:2: logLevel: log level "loud": choose debug, info, warn or error`,
			`agent.yaml:4: policy: unknown key "rule"; did you mean "rules"?`,
			`agent.yaml:5: allowPlaintextRelay: expected true or false`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(c.text)
			var faults *Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v", err)
			}
			faults.File = "agent.yaml"
			if diff := cmp.Diff(c.want, strings.Split(faults.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Error("a password is quoted")
			}
		})
	}
}

func TestFilesThatSayNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# only words\n", "---\n", "null\n", "\ufeff", "\ufeff# BOM\n", "relay:\nproxy: ~\npolicy:\n", "{}\n", "\r\n# Windows\r\n"} {
		c := Defaults()
		if err := c.parse(text); err != nil || cmp.Diff(Defaults(), c) != "" {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	c := Defaults()
	if err := c.parse("\ufefflogLevel: warn\r\nmaxRequestBody: 1000\r\nproxyUser: 0815\r\n"); err != nil || c.LogLevel != "warn" || c.MaxRequestBody != "1000" || c.ProxyUser != "0815" {
		t.Errorf("%+v, %v", c, err)
	}
}

// What the relay hears of a faulty file quotes none of the site's rules.
func TestRulesAreNotTold(t *testing.T) {
	err := Check("logLevle: x\npolicy:\n  rules:\n  - alow GET https://hidden.test\n")
	var faults *Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	want := "agent.yaml:1: unknown key \"logLevle\"; did you mean \"logLevel\"?\nagent.yaml:4: policy: this rule can't be read"
	if diff := cmp.Diff(want, faults.Told()); diff != "" || !strings.Contains(faults.Error(), "hidden.test") {
		t.Errorf("%s\n%s", diff, faults)
	}
}

// Sections that other rooms add are read by their type.
func TestSectionsAreReadByTheirType(t *testing.T) {
	type section struct {
		Every time.Duration     `yaml:"every"`
		Keep  int               `yaml:"keep"`
		Names map[string]string `yaml:"names"`
		Hosts []string          `yaml:"hosts"`
		Part  struct {
			On bool `yaml:"on"`
		} `yaml:"part"`
	}
	read := func(text string) (section, error) {
		var s section
		r := &reader{lines: map[string]int{}}
		if top := r.document([]byte(text)); top != nil {
			r.mapping("", top, reflect.ValueOf(&s).Elem())
		}
		return s, r.faults.in("f")
	}
	got, err := read("every: 5m\nkeep: 3\nnames: {a: b}\nhosts: [x, y]\npart:\n  on: true\n")
	want := section{Every: 5 * time.Minute, Keep: 3, Names: map[string]string{"a": "b"}, Hosts: []string{"x", "y"}}
	want.Part.On = true
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s%v", diff, err)
	}
	_, err = read("every: often\nkeep: 1.5\nnames: [a]\nhosts: x\npart:\n  of: true\n  on:\n    - x\nnames2: x\n")
	wantErr := "f:1: every: expected a duration such as 30s, 5m or 2h\n" +
		"f:2: keep: expected a whole number\n" +
		"f:3: names: expected names and values below it\n" +
		"f:4: hosts: expected a list, each entry on a line of its own that begins with \"- \"\n" +
		"f:6: part: unknown key \"of\"; did you mean \"on\"?\n" +
		"f:8: part.on: expected true or false\n" +
		"f:9: unknown key \"names2\"; did you mean \"names\"?"
	if err == nil || err.Error() != wantErr {
		t.Errorf("error %v", err)
	}
	_, err = read("names:\n  a: b\n  a: c\n  d: [e]\n")
	if want := "f:3: names: key \"a\" stands on line 2 already\nf:4: names.d: expected text"; err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

func TestLongFilesAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, []byte(strings.Repeat("#", longestFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "longer than 1 MiB") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{Example, "prxoy: x\n", "policy: {rules: [allow * https://x, deny], default: allow}\n", "a: &a [*a]\n", "? [a]\n: b\n", "\ttabs: 1\n", "\xff\xfe", "relay: |\n  x\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Defaults()
		lines := len(text) + 1 // YAML has several line breaks
		if err := c.parse(text); err != nil {
			var faults *Faults
			if !errors.As(err, &faults) || len(faults.List) == 0 {
				t.Fatalf("error %v", err)
			}
			for _, fault := range faults.List {
				if fault.Line < 0 || fault.Line > lines || fault.Text == "" {
					t.Errorf("%+v, at most %d lines", fault, lines)
				}
			}
			return
		}
		// What was taken can be shown, and is the same when it is read again.
		shown := ""
		for _, s := range c.settings() {
			shown += s.YAML
		}
		if strings.Contains(shown, Masked) || !yamlText(text) {
			return
		}
		again := Defaults()
		if err := again.parse(shown); err != nil {
			t.Fatalf("%v in what is shown:\n%s", err, shown)
		}
		if diff := cmp.Diff(c.Version(), again.Version()); diff != "" {
			t.Errorf("%s\n%s", diff, shown)
		}
	})
}

// yamlText leaves out what YAML reads, but can't write such that it is read the
// same: control characters and the like.
func yamlText(text string) bool {
	var any any
	out, err := yaml.Marshal(text)
	return err == nil && yaml.Unmarshal(out, &any) == nil && any == text
}
