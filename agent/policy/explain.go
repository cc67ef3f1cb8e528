package policy

import (
	"net/http"
	"net/netip"

	"sallyport/proto"
)

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Allowed bool         `json:"allowed"`
	Rules   []Considered `json:"rules"`
	// DecidedBy is the number of the rule that decided; 0: the default, or the
	// guard of link-local and metadata addresses.
	DecidedBy int          `json:"decidedBy,omitempty"`
	Default   string       `json:"default"`
	ByName    bool         `json:"byName"` // no address had to be known
	Proxied   bool         `json:"proxied,omitempty"`
	Addresses []AtAddress  `json:"addresses,omitempty"`
	Refusal   *proto.Error `json:"refusal,omitempty"`
}

// Considered is a rule that was looked at.
type Considered struct {
	Number int    `json:"number"`
	Line   int    `json:"line,omitempty"`
	Rule   string `json:"rule"`
	// Differs is what of the rule is not the request's: host, scheme, port,
	// method or path; "": it matches, or for a network, may.
	Differs string `json:"differs,omitempty"`
	Network bool   `json:"network,omitempty"` // it decides by address
}

// AtAddress is the verdict on one address.
type AtAddress struct {
	Address   netip.Addr   `json:"address"`
	Allowed   bool         `json:"allowed"`
	DecidedBy int          `json:"decidedBy,omitempty"`
	Refusal   *proto.Error `json:"refusal,omitempty"`
}

// Explain decides on a request as an Engine does, and says why. lookUp is called
// only where the addresses of the name have a say; its error ends the
// explanation. Rates are not counted, bodies are measured by ContentLength.
func (p *Policy) Explain(req *http.Request, proxied bool, lookUp func(host string) ([]netip.Addr, error)) (*Explanation, error) {
	var a asked
	a.ask(req)
	x := &Explanation{Default: p.Default(), Proxied: proxied, Rules: p.considered(&a)}
	a.looked = false // only decide's own looks count
	d := p.decide(&a)
	v, decided := d.early(proxied)
	if decided {
		x.ByName = !v.addr.IsValid()
		x.settle(&d, v, req)
		return x, nil
	}
	addresses, err := lookUp(a.host)
	if err != nil {
		return nil, err
	}
	for _, addr := range addresses {
		at := AtAddress{Address: addr.Unmap()}
		v := d.at(addr)
		if at.Allowed = v.allowed; v.rule != nil {
			at.DecidedBy = v.rule.number
		}
		if !v.allowed {
			at.Refusal = d.refusal(v)
		}
		x.Addresses = append(x.Addresses, at)
		if v.allowed && !x.Allowed || x.Refusal == nil && !x.Allowed {
			x.settle(&d, v, req)
		}
	}
	return x, nil
}

// settle takes v as the verdict on the whole.
func (x *Explanation) settle(d *decision, v verdict, req *http.Request) {
	x.Allowed, x.Refusal, x.DecidedBy = v.allowed, nil, 0
	if v.rule != nil {
		x.DecidedBy = v.rule.number
	}
	switch {
	case !v.allowed:
		x.Refusal = d.refusal(v)
	case v.rule != nil && v.rule.body != 0 && req.ContentLength > v.rule.body:
		x.Allowed, x.Refusal = false, v.rule.overBody(d.asked, proto.OutcomeNotSent)
	}
}

// considered says of each rule what of it is not the request's.
func (p *Policy) considered(a *asked) []Considered {
	out := make([]Considered, 0, len(p.rules))
	for _, r := range p.rules {
		c := Considered{Number: r.number, Line: r.line, Rule: r.text, Network: r.host.byAddress()}
		switch {
		case c.Network && a.addr.IsValid() && !contains(r.host.network, forms(a.addr)), !c.Network && !r.host.matchesName(a):
			c.Differs = "host"
		case r.scheme != "" && r.scheme != a.scheme:
			c.Differs = "scheme"
		case !r.hasPort(a):
			c.Differs = "port"
		case !r.hasMethods(a):
			c.Differs = "method"
		case !a.matches(&r.path, r.deny):
			c.Differs = "path"
		}
		out = append(out, c)
	}
	return out
}
