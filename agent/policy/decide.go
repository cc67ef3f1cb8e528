package policy

import "net/netip"

// decision is what the rules say of a request: as far as its name tells, and
// then for each address.
type decision struct {
	policy *Policy
	asked  *asked
	byName *Rule // the first that matches by name; nil: none
	// applies are the rules for networks that may decide, by their bits. Bit 0
	// is set where what none of them decides is allowed. So requests for which
	// it is the same get the same verdict on every address.
	applies  [4]uint64
	mayAllow bool // one of those that stand before byName allows
	limited  bool // a rule that may be the one to allow has limits
}

// verdict is what becomes of a request.
type verdict struct {
	allowed bool
	rule    *Rule // that decided; nil: none did
	addr    netip.Addr
	guarded string // what is guarded there, where that decided
}

// decide looks at all that can be known before a name is looked up.
func (p *Policy) decide(a *asked) decision {
	d := decision{policy: p, asked: a}
	for _, r := range p.rules {
		byAddress := r.host.byAddress()
		if !byAddress && (d.byName != nil || !r.host.matchesName(a)) || !r.concerns(a) {
			continue
		}
		if byAddress {
			d.applies[r.bit/64] |= 1 << (r.bit % 64)
		}
		if d.byName == nil && !r.deny {
			d.mayAllow = d.mayAllow || byAddress
			d.limited = d.limited || r.limited()
		}
		if !byAddress {
			d.byName = r
			if r.deny {
				break
			}
		}
	}
	if d.byName == nil && p.allow || d.byName != nil && !d.byName.deny {
		d.applies[0] |= 1
	}
	return d
}

// early is the verdict where no address need be known for it. Otherwise ok is
// false: it depends on the address, or, where it might be allowed, the address
// has a say.
func (d *decision) early(proxied bool) (v verdict, ok bool) {
	switch {
	case d.asked.addr.IsValid():
		return d.at(d.asked.addr), true
	case guardedNames[d.asked.host] && (d.byName == nil || d.byName.deny || d.byName.host.name != d.asked.host):
		return verdict{rule: d.denying(), guarded: metadata}, true
	case d.applies[0]&1 == 0 && (!d.mayAllow || proxied):
		return verdict{rule: d.byName}, true
	case proxied:
		return verdict{allowed: true, rule: d.byName}, true
	}
	return verdict{}, false
}

// denying is the rule that denies by name; nil: none does.
func (d *decision) denying() *Rule {
	if d.byName != nil && d.byName.deny {
		return d.byName
	}
	return nil
}

// at is the verdict on an address.
func (d *decision) at(addr netip.Addr) verdict {
	f := forms(addr)
	var first *Rule // that matches the address
	lifted := false
	for _, r := range d.policy.addresses {
		if d.applies[r.bit/64]&(1<<(r.bit%64)) == 0 || !contains(r.host.network, f) {
			continue
		}
		if r.deny {
			if first == nil {
				return verdict{rule: r, addr: addr}
			}
			break
		}
		if first == nil {
			first = r
		}
		lifted = lifted || lifts(r.host.network, f)
	}
	rule := d.byName
	if first != nil && (rule == nil || first.number < rule.number) {
		rule = first
	}
	if first == nil && d.applies[0]&1 == 0 {
		return verdict{rule: rule, addr: addr}
	}
	if !lifted {
		if what := guardedAs(f); what != "" {
			return verdict{addr: addr, guarded: what}
		}
	}
	return verdict{allowed: true, rule: rule, addr: addr}
}
