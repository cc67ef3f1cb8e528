package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sallyport/agent/policy"
)

// AddRule adds an allow rule to the policy in an agent.yaml and leaves the rest
// of the file, comments included, as it is. The rule goes to the end, or above
// the rule that would else deny what it allows. It returns the line on which the
// rule stands now, and false where it stood there already. A file that does not
// exist is made.
func AddRule(path string, rule *policy.Rule) (line int, added bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, false, fmt.Errorf("read configuration: %w", err)
	}
	changed, line, err := withRule(string(text), rule)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", path, err)
	}
	if changed == string(text) {
		return line, false, nil
	}
	return line, true, replaceFile(path, changed)
}

// AddRules adds rules to the policy in the text of an agent.yaml, as AddRule
// does.
func AddRules(text string, rules []string) (string, error) {
	for _, line := range rules {
		rule, err := policy.ParseRule(line)
		if err == nil {
			text, _, err = withRule(text, rule)
		}
		if err != nil {
			return "", err
		}
	}
	return text, nil
}

// errByHand: the file is written in a way that nothing can be added to.
var errByHand = errors.New("policy: rules can't be added to the way it is written here: add them to the file by hand")

// shownRules is the line of the example under which rules would stand.
var shownRules = regexp.MustCompile(`^( +)# ?rules:\s*$`)

// withRule is the text of an agent.yaml with one more rule.
func withRule(text string, rule *policy.Rule) (changed string, line int, err error) {
	var before, after Config
	if err := before.parse(text); err != nil {
		return "", 0, err
	}
	current, err := before.Policy.Compile()
	if err != nil {
		return "", 0, err
	}
	place, known := current.Place(rule)
	if known {
		i := slices.IndexFunc(current.Rules(), func(r *policy.Rule) bool { return r.String() == rule.String() })
		return text, current.Rules()[i].Line(), nil
	}
	changed, line, err = insertRule(text, rule.String(), place)
	if err != nil {
		return "", 0, err
	}
	if err := after.parse(changed); err != nil {
		return "", 0, errByHand
	}
	at := place - 1
	if place == 0 {
		at = len(before.Policy.Rules)
	}
	if len(after.Policy.Rules) != len(before.Policy.Rules)+1 || after.Policy.Rules[at] != (policy.Line{Text: rule.String(), Number: line}) {
		return "", 0, errByHand
	}
	return changed, line, nil
}

// insertRule puts an item before the given rule, from 1, or 0 for the end.
func insertRule(text, rule string, place int) (string, int, error) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	lines := strings.SplitAfter(text, "\n")
	lines = lines[:len(lines)-1] // what follows the last line break
	insert := func(after int, added ...string) (string, int, error) {
		at := after + len(added) // the rule is the last of what is added
		return strings.Join(slices.Insert(slices.Clone(lines), after, added...), ""), at, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", 0, err
	}
	key, value := entry(&doc, "policy")
	switch {
	case key == nil && len(lines) == 0:
		return insert(0, "policy:\n", "  rules:\n", "    - "+rule+"\n")
	case key == nil:
		return insert(len(lines), "\n", "policy:\n", "  rules:\n", "    - "+rule+"\n")
	case isEmpty(value):
		lines[key.Line-1] = keyAlone(lines[key.Line-1])
		for i, l := range lines[key.Line:] {
			if !strings.HasPrefix(l, " ") {
				break
			}
			if shown := shownRules.FindStringSubmatch(l); shown != nil { // as in the example
				lines[key.Line+i] = shown[1] + "rules:\n"
				return insert(key.Line+i+1, shown[1]+"  - "+rule+"\n")
			}
		}
		return insert(key.Line, "  rules:\n", "    - "+rule+"\n")
	}
	rulesKey, rules := entry(value, "rules")
	if rulesKey == nil {
		indent := strings.Repeat(" ", value.Content[0].Column-1)
		return insert(key.Line, indent+"rules:\n", indent+"  - "+rule+"\n")
	}
	if isEmpty(rules) {
		lines[rulesKey.Line-1] = keyAlone(lines[rulesKey.Line-1])
		return insert(rulesKey.Line, strings.Repeat(" ", rulesKey.Column+1)+"- "+rule+"\n")
	}
	if rules.Style&yaml.FlowStyle != 0 {
		return "", 0, errByHand
	}
	item := strings.Repeat(" ", rules.Column-1) + "- " + rule + "\n"
	if place > 0 {
		return insert(rules.Content[place-1].Line-1, item)
	}
	return insert(endOf(lines, rules), item)
}

// endOf is the last line of a list, blank lines and comments behind it left out.
func endOf(lines []string, list *yaml.Node) int {
	end := list.Content[len(list.Content)-1].Line
	for i := end; i < len(lines); i++ { // what continues the last item
		if trimmed := strings.TrimLeft(lines[i], " "); strings.TrimSpace(trimmed) != "" && trimmed[0] != '#' {
			if len(lines[i])-len(trimmed) < list.Column {
				break
			}
			end = i + 1
		}
	}
	return end
}

// entry finds a key of a mapping, or of the mapping that a document is.
func entry(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

func isEmpty(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null" || node.Kind != yaml.ScalarNode && len(node.Content) == 0
}

// keyAlone is a line without the empty value behind its key.
func keyAlone(line string) string {
	key, rest, _ := strings.Cut(line, ":")
	if i := strings.Index(rest, "#"); i >= 0 {
		return key + ": " + rest[i:]
	}
	return key + ":\n"
}

// replaceFile writes a file whole or not at all, with the mode of the one that
// it replaces.
func replaceFile(path, text string) error {
	mode := fs.FileMode(0o640)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	defer os.Remove(tmp.Name()) // gone already where all went well
	_, err = tmp.WriteString(text)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = sameOwner(tmp, path)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
