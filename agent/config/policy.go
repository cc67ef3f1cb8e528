package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"sallyport/agent/policy"
	"sallyport/internal/nearest"
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

// UnmarshalYAML reads the key's value, and keeps the line of each rule. Its
// error joins all that is wrong.
func (p *Policy) UnmarshalYAML(node *yaml.Node) error {
	*p = Policy{}
	if node.Kind != yaml.MappingNode {
		return Fault{Line: node.Line, Text: "policy: expected rules: and, below it, one rule a line"}
	}
	r := &reader{}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !r.key("policy", key, seen) || isNull(value) {
			continue
		}
		switch key.Value {
		case "default":
			p.readDefault(r, value)
		case "rules":
			p.readRules(r, value)
		default:
			r.faults.add(key.Line, "policy: unknown key %q; did you mean %q?", shown(key.Value), nearest.Of(key.Value, "rules", "default"))
		}
	}
	if len(r.faults.List) == 0 { // what holds of all of them together
		if _, err := p.Compile(); err != nil {
			r.faults.addErr(node.Line, err)
		}
	}
	return r.faults.joined()
}

func (p *Policy) readDefault(r *reader, node *yaml.Node) {
	if node.Kind != yaml.ScalarNode || node.Value != "allow" && node.Value != "deny" && node.Value != "" {
		r.faults.add(node.Line, "policy: default: expected allow or deny")
		return
	}
	p.Default = node.Value
}

func (p *Policy) readRules(r *reader, node *yaml.Node) {
	if node.Kind != yaml.SequenceNode {
		r.faults.add(node.Line, "policy: rules: expected a list, each rule on a line of its own that begins with \"- \"")
		return
	}
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			r.faults.add(item.Line, "policy: rules: expected a rule, such as allow GET https://erp.plant2.internal/api/**")
			continue
		}
		if _, err := policy.ParseRule(item.Value); err != nil {
			r.faults.List = append(r.faults.List, Fault{Line: item.Line, Text: "policy: " + err.Error(), Told: "policy: this rule can't be read"})
			continue
		}
		p.Rules = append(p.Rules, policy.Line{Text: item.Value, Number: item.Line})
	}
}

// Masked is the policy as a file has it.
func (p Policy) Masked() any {
	out := struct {
		Rules   []string `yaml:"rules,omitempty"`
		Default string   `yaml:"default,omitempty"`
	}{Default: p.Default}
	for _, r := range p.Rules {
		out.Rules = append(out.Rules, r.Text)
	}
	return out
}
