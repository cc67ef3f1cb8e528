package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"sallyport/proto"
)

// Limits of a policy. They bound what one decision can cost.
const (
	maxRules        = 1000
	maxAddressRules = 255 // one bit each of outbound.Class.Rules, which has one more
)

// Line is a rule as it stands in a file.
type Line struct {
	Text   string
	Number int // of the line, from 1; 0: the rule comes from elsewhere
}

// Source is a policy as a site's admin wrote it.
type Source struct {
	// Default decides where no rule does: "allow", "deny", or "" for deny as
	// soon as there is one allow rule, else allow.
	Default string
	Rules   []Line
}

// Policy is a set of rules. It never changes. Make it with New.
type Policy struct {
	rules     []*Rule
	addresses []*Rule // those for networks, by their bit
	allow     bool    // what no rule decides
	version   string
}

// New reads a policy. Its errors name the line.
func New(s Source) (*Policy, error) {
	p := &Policy{}
	if len(s.Rules) > maxRules {
		return nil, fmt.Errorf("%d rules are more than the %d that a policy may have", len(s.Rules), maxRules)
	}
	for i, line := range s.Rules {
		r, err := ParseRule(line.Text)
		if e, ok := err.(*SyntaxError); ok {
			e.Line = line.Number
		}
		if err != nil {
			return nil, err
		}
		r.line, r.number = line.Number, i+1
		if r.host.byAddress() {
			p.addresses = append(p.addresses, r)
			r.bit = len(p.addresses)
		}
		p.rules = append(p.rules, r)
	}
	if len(p.addresses) > maxAddressRules {
		return nil, fmt.Errorf("%d rules for addresses are more than the %d that a policy may have: put networks together", len(p.addresses), maxAddressRules)
	}
	switch s.Default {
	case "allow":
		p.allow = true
	case "deny":
	case "":
		p.allow = !slices.ContainsFunc(p.rules, func(r *Rule) bool { return !r.deny })
	default:
		return nil, fmt.Errorf("default: %q is neither allow nor deny", s.Default)
	}
	digest := sha256.Sum256([]byte(p.String()))
	p.version = hex.EncodeToString(digest[:4])
	return p, nil
}

// Rules are the rules in their order.
func (p *Policy) Rules() []*Rule { return slices.Clone(p.rules) }

// Default is what becomes of a request that no rule matches: allow or deny.
func (p *Policy) Default() string {
	if p.allow {
		return proto.PolicyAllow
	}
	return proto.PolicyDeny
}

// Open says whether more may be reached than rules name: a standing warning.
func (p *Policy) Open() bool { return p.allow }

// Version is short, and the same for policies that decide alike by their text.
func (p *Policy) Version() string { return p.version }

// String is the policy in its canonical form, one rule a line.
func (p *Policy) String() string {
	var b strings.Builder
	for _, r := range p.rules {
		b.WriteString(r.text)
		b.WriteByte('\n')
	}
	b.WriteString("default " + p.Default() + "\n")
	return b.String()
}

// Warning says in words what an open policy means; "" for one that is not.
func (p *Policy) Warning() string { return p.Summary().Warning() }

// Summary is what the relay is told of the policy.
func (p *Policy) Summary() *proto.PolicySummary {
	return &proto.PolicySummary{Version: p.version, Rules: len(p.rules), Default: p.Default(), Open: p.allow}
}
