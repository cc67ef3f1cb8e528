package web

import (
	"slices"
	"strings"

	"sallyport/proto"
	"sallyport/relay/registry"
)

// sitePolicy is what the machines of an agent's site let be reached through
// them: in short, for the rules themselves stay there.
type sitePolicy struct {
	Policies []machinePolicy
	Unknown  string // the machines that are connected and have not said, by name
}

// machinePolicy is one policy, and the machines that have it.
type machinePolicy struct {
	Machines string
	Rules    string // how many
	Default  string
	Version  string
	Warning  string // "": none
}

// policyOf puts machines with the same policy together. Which one counts for a
// request depends on the machine that takes it, so all are shown.
func policyOf(instances []registry.Instance) sitePolicy {
	var out sitePolicy
	var told []*proto.PolicySummary
	var names [][]string // of the machines, for each of told
	var unknown []string
	for _, in := range instances {
		switch {
		case !in.Online:
			continue
		case in.Policy == nil:
			unknown = append(unknown, in.Hostname)
			continue
		}
		i := slices.IndexFunc(told, func(p *proto.PolicySummary) bool { return *p == *in.Policy })
		if i < 0 {
			i, told, names = len(told), append(told, in.Policy), append(names, nil)
		}
		names[i] = append(names[i], in.Hostname)
	}
	for i, p := range told {
		out.Policies = append(out.Policies, machinePolicy{Machines: strings.Join(names[i], ", "), Rules: plural(p.Rules, "rule"),
			Default: p.Default, Version: p.Version, Warning: p.Warning()})
	}
	out.Unknown = strings.Join(unknown, ", ")
	return out
}
