package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Place is where a new allow rule has to stand so that it takes effect: the
// number of the first rule that would else deny what it allows, or 0 for the
// end. known is true where the rule is there already, and takes effect.
func (p *Policy) Place(r *Rule) (before int, known bool) {
	known = slices.ContainsFunc(p.rules, func(other *Rule) bool { return other.text == r.text })
	var a asked
	a.ask(r.example())
	d := p.decide(&a)
	v, decided := d.early(false)
	switch {
	case decided && !v.allowed && v.rule != nil && v.guarded == "":
		return v.rule.number, false
	case !decided && d.denying() != nil:
		return d.byName.number, false
	}
	return 0, known
}

// example is a request that the rule matches.
func (r *Rule) example() *http.Request {
	u := &url.URL{Scheme: r.scheme, Host: "example.invalid", Path: "/"}
	if u.Scheme == "" {
		u.Scheme = "https"
	}
	switch {
	case r.host.byAddress():
		u.Host = r.host.network.Addr().String()
		if r.host.network.Addr().Is6() {
			u.Host = "[" + u.Host + "]"
		}
	case !r.host.any:
		u.Host = strings.ReplaceAll(strings.ReplaceAll(r.host.name, "**", "x"), "*", "x")
	}
	if len(r.ports) > 0 {
		u.Host += ":" + strconv.Itoa(int(r.ports[0].first))
	}
	var segments []string
	for _, s := range r.path.parts {
		segments = append(segments, strings.ReplaceAll(strings.ReplaceAll(s.text, "**", "x"), "*", "x"))
	}
	if r.path.parts != nil {
		u.Path = "/" + strings.Join(segments, "/")
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}
	if r.methods != nil {
		req.Method = r.methods[0]
	}
	return req
}
