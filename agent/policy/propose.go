package policy

import (
	"net/netip"
	"strings"
)

// propose is the rule that would allow the request and those like it, in the
// host's own name or, where its address is what was refused, for that; "" where
// no rule can name the path.
func (a *asked) propose(addr netip.Addr) string {
	host := a.called()
	if addr.IsValid() {
		host = forms(addr)[1].String()
	}
	if !a.read {
		a.readPaths()
	}
	if host == "" || a.port == 0 || a.reading.fault != nil || len(a.otherPaths) > 0 {
		return ""
	}
	path := patternOf(&a.reading)
	methods := append([]string{a.method}, a.otherMethods...)
	r, err := ParseRule("allow " + strings.Join(methods, ",") + " " + proposedOrigin(a, host, path) + path)
	if err != nil { // a host or a method that no rule can name
		return ""
	}
	return r.text
}

// proposedOrigin is scheme, host and port, with an address before a path in
// brackets, so that the two are not taken for a network.
func proposedOrigin(a *asked, host, path string) string {
	origin := a.origin(host)
	if _, err := netip.ParseAddr(host); err == nil && path != "" {
		origin = strings.Replace(origin, "://"+host, "://["+host+"]", 1)
	}
	return origin
}

// patternOf is a pattern for a path: ids in it become *, and what applications
// read in several ways **.
func patternOf(r *reading) string {
	var b strings.Builder
	for i, s := range r.plain {
		if r.other != nil && (i >= len(r.other) || r.other[i] != s) {
			b.WriteString("/**")
			return b.String()
		}
		b.WriteByte('/')
		b.WriteString(encodeSegment(collapse(s)))
	}
	if r.other != nil && len(r.other) != len(r.plain) {
		b.WriteString("/**")
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// placeholder is in a segment that holds a secret of the agent: what the policy
// sees of it is a mark, another one with each request, and what the ledger shows
// is {{agent.secret.NAME}}.
const placeholder = "agent.secret."

// collapse makes a pattern of a segment: what looks like an id becomes *.
func collapse(s string) part {
	if len(s) > 60 || strings.Contains(s, "*") || strings.Contains(s, placeholder) {
		return part{text: "*", wild: true}
	}
	if name, key, ok := strings.Cut(s, "("); ok && name != "" && strings.HasSuffix(key, ")") && key != ")" { // OData
		return part{text: name + "(*)", wild: true}
	}
	name, extension := s, ""
	if dot := strings.LastIndexByte(s, '.'); dot > 0 && len(s)-dot <= 5 && strings.Trim(s[dot+1:], "0123456789") != "" {
		name, extension = s[:dot], s[dot:]
	}
	if looksLikeID(name) {
		return part{text: "*" + extension, wild: true}
	}
	return part{text: s}
}

// looksLikeID: a number, a date, a UUID or hash, or a long word with as many
// digits as only made-up ones have. Versions (v2) and words with a digit or two
// (oauth2, sha256) are none.
func looksLikeID(s string) bool {
	digits, hexes, letters := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F':
			hexes++
		case 'g' <= c && c <= 'z' || 'G' <= c && c <= 'Z':
			letters++
		case strings.IndexByte("-_.:~=", c) < 0:
			return false
		}
	}
	switch {
	case digits == 0:
		return false
	case hexes == 0 && letters == 0:
		return true
	case letters == 0 && digits+hexes >= 8:
		return true
	case strings.ContainsAny(s, "-_") && digits >= 4: // PO-2026-0042
		return true
	}
	return digits+hexes+letters >= 16 && digits >= 3 || digits >= 4 && digits > hexes+letters
}
