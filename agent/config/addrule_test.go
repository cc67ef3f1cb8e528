package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/agent/policy"
)

func mustRule(t rapid.TB, text string) *policy.Rule {
	t.Helper()
	r, err := policy.ParseAllow(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const added = "allow GET https://erp.test/api/**"

func TestRuleIsAddedAndTheRestLeftAsItIs(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no file":         {"", "policy:\n  rules:\n    - NEW\n"},
		"no policy":       {"# mine\nlogLevel: debug # why\n", "# mine\nlogLevel: debug # why\n\npolicy:\n  rules:\n    - NEW\n"},
		"no line break":   {"logLevel: debug", "logLevel: debug\n\npolicy:\n  rules:\n    - NEW\n"},
		"comments only":   {"# logLevel: debug\n", "# logLevel: debug\n\npolicy:\n  rules:\n    - NEW\n"},
		"empty policy":    {"policy:\n  # rules come here\nlogLevel: debug\n", "policy:\n  rules:\n    - NEW\n  # rules come here\nlogLevel: debug\n"},
		"policy {}":       {"policy: {} # none yet\nlogLevel: debug\n", "policy: # none yet\n  rules:\n    - NEW\nlogLevel: debug\n"},
		"default alone":   {"policy:\n    default: deny\n", "policy:\n    rules:\n      - NEW\n    default: deny\n"},
		"rules: []":       {"policy:\n  rules: []\n  default: deny\n", "policy:\n  rules:\n    - NEW\n  default: deny\n"},
		"empty rules":     {"policy:\n  rules:\n  default: deny\n", "policy:\n  rules:\n    - NEW\n  default: deny\n"},
		"at the end":      {"policy:\n  rules:\n    # one\n    - allow * https://a.test # because\n    # two\n    - allow * https://b.test\n\n# done\nlogLevel: debug\n", "policy:\n  rules:\n    # one\n    - allow * https://a.test # because\n    # two\n    - allow * https://b.test\n    - NEW\n\n# done\nlogLevel: debug\n"},
		"no indentation":  {"policy:\n  rules:\n  - allow * https://a.test\n  default: deny\n", "policy:\n  rules:\n  - allow * https://a.test\n  - NEW\n  default: deny\n"},
		"over two lines":  {"policy:\n  rules:\n    - allow GET\n      https://a.test\n", "policy:\n  rules:\n    - allow GET\n      https://a.test\n    - NEW\n"},
		"quoted":          {"policy:\n  rules:\n    - \"allow * https://a.test\"\n", "policy:\n  rules:\n    - \"allow * https://a.test\"\n    - NEW\n"},
		"above its deny":  {"policy:\n  rules:\n    - allow * https://a.test\n    # keep off\n    - deny * https://erp.test/**\n", "policy:\n  rules:\n    - allow * https://a.test\n    # keep off\n    - NEW\n    - deny * https://erp.test/**\n"},
		"other denies":    {"policy:\n  rules:\n    - deny POST https://erp.test/**\n    - deny * *://10.0.0.0/8\n", "policy:\n  rules:\n    - deny POST https://erp.test/**\n    - deny * *://10.0.0.0/8\n    - NEW\n"},
		"windows' breaks": {"logLevel: debug\r\npolicy:\r\n  rules:\r\n    - allow * https://a.test\r\n", "logLevel: debug\r\npolicy:\r\n  rules:\r\n    - allow * https://a.test\r\n    - NEW\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, line, err := withRule(c.text, mustRule(t, added))
			want := strings.Replace(c.want, "NEW", added, 1)
			if err != nil || got != want {
				t.Fatalf("%v, got\n%s\nwant\n%s", err, got, want)
			}
			if lines := strings.Split(got, "\n"); !strings.Contains(lines[line-1], added) {
				t.Errorf("line %d is %q", line, lines[line-1])
			}
			again, where, err := withRule(got, mustRule(t, added))
			if err != nil || again != got || where != line {
				t.Errorf("a second time: line %d, %v\n%s", where, err, again)
			}
		})
	}
}

func TestRulesThatCannotBeAddedToAreLeftAlone(t *testing.T) {
	for text, want := range map[string]string{
		"policy:\n  rules: [\"allow * https://a.test\"]\n": "by hand",
		"policy: {default: deny}\n":                        "by hand",
		"policy:\n  rules: [\n  ]\n":                       "by hand",
		"polcy: {}\n":                                      "did you mean",
	} {
		if _, _, err := withRule(text, mustRule(t, added)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFileKeepsItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte("logLevel: debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line, done, err := AddRule(path, mustRule(t, added)); err != nil || !done || line != 5 {
		t.Fatal(line, done, err)
	}
	if _, done, err := AddRule(path, mustRule(t, added)); err != nil || done {
		t.Fatal(done, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// Whatever rules are there, the added one allows what it names.
func TestAddedRuleTakesEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "policy:\n  rules:\n"
		for _, rule := range rapid.SliceOfN(rapid.SampledFrom([]string{
			"deny * *://*", "deny GET https://erp.test/api/orders", "allow * https://erp.test", "deny * *://**.test", "deny * *://10.0.0.0/8", "allow POST https://*", "deny * https://erp.test/a*/**",
		}), 0, 6).Draw(t, "rules") {
			text += "    - " + rule + "\n"
		}
		rule := mustRule(t, rapid.SampledFrom([]string{"GET https://erp.test/api/orders", "https://10.1.2.3", "POST https://a.b.test:8443/x/**"}).Draw(t, "rule"))
		changed, _, err := withRule(text, rule)
		if err != nil {
			t.Fatal(err)
		}
		var c Config
		if err := c.parse(changed); err != nil {
			t.Fatal(err)
		}
		p, err := c.Policy.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if before, _ := p.Place(rule); before != 0 {
			t.Fatalf("%s is still denied by rule %d of\n%s", rule, before, changed)
		}
	})
}
