package config

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRulesAreAddedBelowTheOthers(t *testing.T) {
	const allow, deny = "allow GET https://erp.test/api/**", "deny * *://10.0.0.0/8:22"
	for name, c := range map[string]struct{ text, want string }{
		"no policy": {"proxy: none\n", "proxy: none\n\npolicy:\n  rules:\n    - " + allow + "\n"},
		"no rules": {"policy:\n  default: deny\n\n# ours\nproxy: none\n",
			"policy:\n  rules:\n    - " + allow + "\n  default: deny\n\n# ours\nproxy: none\n"},
		"some rules, and something behind": {"policy:\n  rules: # mind the order\n  - " + deny + " # ssh\n\n  default: deny\nproxy: none\n",
			"policy:\n  rules: # mind the order\n  - " + deny + " # ssh\n  - " + allow + "\n\n  default: deny\nproxy: none\n"},
		"rules that are only shown": {"policy:\n  # Rules are read from the top.\n  # rules:\n  #   - deny * *://*\n",
			"policy:\n  # Rules are read from the top.\n  rules:\n    - " + allow + "\n  #   - deny * *://*\n"},
		"the same rule": {"policy:\n  rules:\n    - " + allow + "\n", "policy:\n  rules:\n    - " + allow + "\n"},
	} {
		got, err := AddRules(c.text, []string{allow})
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(c.want, got))
		}
	}
	text, err := AddRules(Example, []string{allow, deny})
	c := Defaults()
	if err == nil {
		err = c.parse(text)
	}
	if err != nil || len(c.Policy.Rules) != 2 || c.Policy.Rules[0].Text != allow || c.Policy.Rules[1].Text != deny {
		t.Errorf("the example: %v, %+v", err, c.Policy)
	}
	for name, text := range map[string]string{
		"on one line":  "policy: {default: deny}\n",
		"a short list": "policy:\n  rules: [\"" + deny + "\"]\n",
	} {
		if _, err := AddRules(text, []string{allow}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := AddRules("policy: {default: deny}\n", []string{allow}); !errors.Is(err, errByHand) {
		t.Errorf("got %v", err)
	}
	if _, err := AddRules("proxy: none\n", []string{"allow https://a\nb: c"}); err == nil {
		t.Error("a rule of two lines was added")
	}
}
