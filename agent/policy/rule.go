package policy

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/time/rate"

	"sallyport/internal/bytesize"
)

// Rule is one line of a policy. Make it with ParseRule.
type Rule struct {
	line    int // in the file that it was read from; 0: none
	number  int // in its policy, from 1
	bit     int // of a rule for addresses, among those of its policy, from 1
	deny    bool
	methods []string // nil: all
	scheme  string   // "": both
	host    hostPattern
	ports   ports
	path    pathPattern
	rate    Rate
	body    int64 // most bytes of a request's body; 0: no limit
	bucket  *rate.Limiter
	text    string
}

// String is the rule in its canonical form, from which ParseRule reads the same
// rule again.
func (r *Rule) String() string { return r.text }

// Denies says whether the rule is a deny rule.
func (r *Rule) Denies() bool { return r.deny }

// Line is where the rule stands in agent.yaml; 0: nowhere.
func (r *Rule) Line() int { return r.line }

// Number is the rule's place in its policy, from 1.
func (r *Rule) Number() int { return r.number }

// Rate is how many requests a rule allows in a span.
type Rate struct {
	Requests int
	Per      byte // 's', 'm' or 'h'; 0: no limit
}

// perSecond is the rate at which a bucket refills.
func (r Rate) perSecond() rate.Limit {
	return rate.Limit(float64(r.Requests) / map[byte]float64{'s': 1, 'm': 60, 'h': 3600}[r.Per])
}

// limited says whether requests that the rule allows may be refused all the same.
func (r *Rule) limited() bool { return r.rate.Per != 0 || r.body != 0 }

// concerns says whether the rule is about the request, the host aside.
func (r *Rule) concerns(a *asked) bool {
	return (r.scheme == "" || r.scheme == a.scheme) && r.hasPort(a) && r.hasMethods(a) && a.matches(&r.path, r.deny)
}

func (r *Rule) hasPort(a *asked) bool {
	switch {
	case len(r.ports) > 0:
		return r.ports.contain(a.port)
	case r.deny || r.ports != nil:
		return true
	}
	return a.port == defaultPort(a.scheme)
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// hasMethods says whether the rule is about the request's method: for an allow
// rule, about each one that an application may take it for.
func (r *Rule) hasMethods(a *asked) bool {
	if r.methods == nil {
		return true
	}
	matched := r.hasMethod(a.method)
	for _, m := range a.otherMethods {
		if r.hasMethod(m) != matched {
			return r.deny
		}
	}
	return matched
}

func (r *Rule) hasMethod(method string) bool {
	for _, m := range r.methods {
		if m == method || m == "GET" && method == "HEAD" {
			return true
		}
	}
	// Some applications take methods in any case, which no deny rule must miss.
	if upper := strings.ToUpper(method); r.deny && upper != method {
		return r.hasMethod(upper)
	}
	return false
}

// canonical writes the rule.
func (r *Rule) canonical() string {
	var b strings.Builder
	b.WriteString(map[bool]string{false: "allow ", true: "deny "}[r.deny])
	if r.methods == nil {
		b.WriteByte('*')
	}
	b.WriteString(strings.Join(r.methods, ","))
	b.WriteByte(' ')
	if r.scheme == "" {
		b.WriteByte('*')
	}
	b.WriteString(r.scheme)
	b.WriteString("://")
	path, ports := r.path.String(), r.ports.String()
	b.WriteString(r.host.text(ports == "" && path != ""))
	b.WriteString(ports)
	b.WriteString(path)
	if r.rate.Per != 0 {
		b.WriteString(" rate=" + strconv.Itoa(r.rate.Requests) + "/" + string(rune(r.rate.Per)))
	}
	if r.body != 0 {
		b.WriteString(" body=" + formatSize(r.body))
	}
	return b.String()
}

// usualMethods are in the order in which rules name them.
var usualMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// sortMethods puts methods in order and drops those that come twice.
func sortMethods(methods []string) []string {
	rank := func(m string) int {
		if i := slices.Index(usualMethods, m); i >= 0 {
			return i
		}
		return len(usualMethods)
	}
	slices.SortFunc(methods, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	methods = slices.Compact(methods)
	if slices.Contains(methods, "GET") { // which includes HEAD
		methods = slices.DeleteFunc(methods, func(m string) bool { return m == "HEAD" })
	}
	return methods
}

// formatSize writes a size in the unit in which it is the shortest number.
func formatSize(n int64) string {
	number, unit := bytesize.Exact(n)
	return number + unit
}
