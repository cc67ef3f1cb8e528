package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"sallyport/proto"
)

// refusal is the error of a request that the verdict does not allow.
func (d *decision) refusal(v verdict) *proto.Error {
	e := &proto.Error{Code: proto.CodePolicyDenied, Outcome: proto.OutcomeNotSent, Facts: map[string]string{"host": d.asked.called()}}
	if v.addr.IsValid() {
		e.Facts["address"] = v.addr.WithZone("").Unmap().String()
	}
	named := netip.Addr{} // the address that a line has to name
	switch {
	case v.guarded != "":
		e.Reason = proto.ReasonGuarded
		e.Detail = fmt.Sprintf("%s: %s, which the agent does not reach unless its policy allows it in so many words (%s).", d.reached(v), v.guarded, d.asked)
		named = v.addr
	case v.rule != nil:
		e.Reason = proto.ReasonDenyRule
		e.Detail = fmt.Sprintf("%s of the policy of the agent's site forbids %s: %s", v.rule.where(), d.asked, v.rule)
		if v.rule.host.byAddress() {
			e.Detail = fmt.Sprintf("%s of the policy of the agent's site forbids %s: %s", v.rule.where(), d.reached(v), v.rule)
			named = v.addr
		}
		e.Facts["rule"], e.Facts["ruleNumber"] = v.rule.text, strconv.Itoa(v.rule.number)
		if v.rule.line > 0 {
			e.Facts["ruleLine"] = strconv.Itoa(v.rule.line)
		}
	default:
		e.Reason = proto.ReasonNoRule
		e.Detail = fmt.Sprintf("No rule of the policy of the agent's site allows %s.", d.asked)
	}
	d.advise(e, v, named)
	return e
}

// reached is an address with the name by which the request calls it.
func (d *decision) reached(v verdict) string {
	if !v.addr.IsValid() {
		return d.asked.called()
	}
	address := v.addr.WithZone("").Unmap().String()
	if d.asked.addr.IsValid() {
		return address
	}
	return address + ", an address of " + d.asked.host
}

// where is the rule's place, as a person finds it.
func (r *Rule) where() string {
	if r.line > 0 {
		return fmt.Sprintf("Rule %d (line %d)", r.number, r.line)
	}
	return fmt.Sprintf("Rule %d", r.number)
}

// advise says what would have to be added.
func (d *decision) advise(e *proto.Error, v verdict, named netip.Addr) {
	fault := d.asked.fault()
	if fault != nil || d.asked.looked && len(d.asked.otherPaths) > 0 {
		e.Reason = proto.ReasonAmbiguousPath
		e.Hint = "Send the request with a plain path: rules with a path do not allow what applications read in different ways."
		if fault != nil {
			e.Detail += " No rule with a path allows the request: " + fault.Error() + "."
		} else {
			e.Detail += " Its X-Original-URL or X-Rewrite-URL field names a path too, which a rule has to allow as well."
		}
		return
	}
	line := d.asked.propose(named)
	if line == "" {
		e.Hint = "Ask the admin of the agent's site whether it should be allowed."
		return
	}
	e.Facts["line"] = line
	place := "to the policy's rules in agent.yaml"
	if v.rule != nil && v.guarded == "" {
		place += ", above " + v.rule.whereLower()
	}
	e.Hint = fmt.Sprintf("If it is to be allowed, the site's admin adds this line %s: %s", place, line)
}

// overRate is the error of a request beyond its rule's rate.
func (r *Rule) overRate(a *asked, wait time.Duration) *proto.Error {
	seconds := max(int64((wait+time.Second-1)/time.Second), 1)
	return &proto.Error{
		Code: proto.CodeTooManyRequests, Reason: proto.ReasonRuleRate, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The policy of the agent's site allows %d such requests per %s: %s.", r.rate.Requests, map[byte]string{'s': "second", 'm': "minute", 'h': "hour"}[r.rate.Per], a),
		Hint:   fmt.Sprintf("Send it again in %d s. If there should be more, the site's admin raises rate= in %s.", seconds, r.whereLower()),
		Facts:  map[string]string{"host": a.called(), "rule": r.text, "retryAfter": strconv.FormatInt(seconds, 10)},
	}
}

// overBody is the error of a request whose body is larger than its rule allows.
// Where it was being sent already the outcome is for the road to say.
func (r *Rule) overBody(a *asked, outcome proto.Outcome) *proto.Error {
	return &proto.Error{
		Code: proto.CodeTooLarge, Reason: proto.ReasonRuleBody, Outcome: outcome,
		Detail: fmt.Sprintf("The body is larger than the %s that the policy of the agent's site allows: %s.", formatSize(r.body), a),
		Hint:   fmt.Sprintf("Send less at a time. If more should be allowed, the site's admin raises body= in %s.", r.whereLower()),
		Facts:  map[string]string{"host": a.called(), "rule": r.text, "limit": strconv.FormatInt(r.body, 10)},
	}
}

func (r *Rule) whereLower() string { return "r" + r.where()[1:] }
