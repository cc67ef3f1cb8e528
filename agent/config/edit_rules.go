package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	policyKey = regexp.MustCompile(`^policy:\s*(#.*)?$`)
	rulesKey  = regexp.MustCompile(`^( +)rules:\s*(#.*)?$`)
	shownKey  = regexp.MustCompile(`^( +)# ?rules:\s*$`)
	ruleLine  = regexp.MustCompile(`^( +)- `)
)

// errByHand: the file is written in a way that Edit can't add rules to.
var errByHand = errors.New("policy: rules can't be added to the way it is written here: add them to the file by hand")

// AddRules adds rules to the policy in the text of an agent.yaml, below those
// that stand there, since the first that matches decides. Everything else stays
// as it is. A rule that stands there already is not added again.
func AddRules(text string, rules []string) (string, error) {
	before := Defaults()
	if err := before.parse(text); err != nil {
		return "", err
	}
	rules = slices.DeleteFunc(slices.Clone(rules), func(rule string) bool {
		for _, line := range before.Policy.Rules {
			if line.Text == rule {
				return true
			}
		}
		return false
	})
	if len(rules) == 0 {
		return text, nil
	}
	lines, err := insertRules(strings.Split(strings.TrimRight(text, "\n"), "\n"), rules)
	if err != nil {
		return "", err
	}
	edited := strings.Join(lines, "\n") + "\n"
	after := Defaults()
	if err := after.parse(edited); err != nil {
		return "", err
	}
	if len(after.Policy.Rules) != len(before.Policy.Rules)+len(rules) {
		return "", errByHand
	}
	return edited, nil
}

func insertRules(lines, rules []string) ([]string, error) {
	top := slices.IndexFunc(lines, policyKey.MatchString)
	if top < 0 {
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "policy:") }) {
			return nil, errByHand // such as policy: {}
		}
		lines = append(lines, "", "policy:")
		top = len(lines) - 1
	}
	end := top + 1 // behind the block: the next line that begins at the margin and says something
	for end < len(lines) && (strings.TrimSpace(lines[end]) == "" || strings.HasPrefix(lines[end], " ")) {
		end++
	}
	block := lines[top:end]
	at, indent := -1, "    "
	if i := slices.IndexFunc(block, rulesKey.MatchString); i >= 0 {
		at = i + 1
		for j, l := range block[at:] {
			if m := ruleLine.FindStringSubmatch(l); m != nil {
				at, indent = i+1+j+1, m[1]
			}
		}
	} else {
		at = 1
		if i := slices.IndexFunc(block, shownKey.MatchString); i >= 0 {
			at = i + 1
			block[i] = shownKey.FindStringSubmatch(block[i])[1] + "rules:"
		} else {
			lines = slices.Insert(lines, top+1, "  rules:")
			at = 2
		}
	}
	items, err := ruleLines(rules, indent)
	if err != nil {
		return nil, err
	}
	return slices.Insert(lines, top+at, items...), nil
}

// ruleLines are the rules as items of a list.
func ruleLines(rules []string, indent string) ([]string, error) {
	var items []string
	for _, rule := range rules {
		scalar, err := yaml.Marshal(rule)
		if err != nil || strings.Count(string(scalar), "\n") != 1 {
			return nil, fmt.Errorf("policy: the rule %q is not one line", rule)
		}
		items = append(items, indent+"- "+strings.TrimRight(string(scalar), "\n"))
	}
	return items, nil
}
