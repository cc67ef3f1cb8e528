package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"sallyport/agent/policy"
)

// Policy is the key policy: what the relay may reach through this agent. It is
// checked when it is read, so that a faulty one never begins to apply.
type Policy struct {
	Default string // "allow", "deny" or "", see policy.Source
	Rules   []policy.Line
}

// Compile makes the policy of it.
func (p Policy) Compile() (*policy.Policy, error) {
	compiled, err := policy.New(policy.Source{Default: p.Default, Rules: p.Rules})
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return compiled, nil
}

// UnmarshalYAML reads the key's value, and keeps the line of each rule.
func (p *Policy) UnmarshalYAML(node *yaml.Node) error {
	*p = Policy{}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: policy: expected rules: and, below it, one rule a line", node.Line)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if first, twice := seen[key.Value]; twice {
			return fmt.Errorf("line %d: policy: key %q stands on line %d already", key.Line, key.Value, first)
		}
		seen[key.Value] = key.Line
		var err error
		switch key.Value {
		case "default":
			err = p.readDefault(value)
		case "rules":
			err = p.readRules(value)
		default:
			err = fmt.Errorf("line %d: policy: unknown key %q; did you mean %q?", key.Line, key.Value, nearestOf(key.Value, "rules", "default"))
		}
		if err != nil {
			return err
		}
	}
	_, err := p.Compile()
	return err
}

func (p *Policy) readDefault(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Value != "allow" && node.Value != "deny" && node.Value != "" {
		return fmt.Errorf("line %d: policy: default: expected allow or deny", node.Line)
	}
	p.Default = node.Value
	return nil
}

func (p *Policy) readRules(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil // rules: with nothing below it
	}
	if node.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: policy: rules: expected a list, each rule on a line of its own that begins with \"- \"", node.Line)
	}
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return fmt.Errorf("line %d: policy: rules: expected a rule, such as allow GET https://erp.plant2.internal/api/**", item.Line)
		}
		p.Rules = append(p.Rules, policy.Line{Text: item.Value, Number: item.Line})
	}
	return nil
}
