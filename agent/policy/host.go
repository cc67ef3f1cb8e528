package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// hostPattern is the host of a rule: one of any, name and network.
type hostPattern struct {
	any     bool
	name    string       // in its canonical form; "": not a name
	labels  []part       // of a name with wildcards; nil: it has none
	network netip.Prefix // also of a single address; invalid: not one
}

// byAddress says whether the rule matches addresses, and not names.
func (h *hostPattern) byAddress() bool { return h.network.IsValid() }

// matchesName says whether the pattern, one that is not for addresses, matches.
func (h *hostPattern) matchesName(a *asked) bool {
	switch {
	case h.any:
		return true
	case h.labels == nil:
		return h.name == a.host // never "", which a host is that is no name
	}
	return a.host != "" && matchParts(h.labels, a.labels(), false)
}

// text is the pattern as a rule has it. An address directly before a path
// stands in brackets where the two could be taken for a network.
func (h *hostPattern) text(beforePath bool) string {
	switch {
	case h.any:
		return "*"
	case !h.byAddress():
		return h.name
	}
	addr := h.network.Addr()
	text := addr.String()
	if !h.network.IsSingleIP() {
		text = h.network.String()
	}
	if addr.Is6() || beforePath {
		return "[" + text + "]"
	}
	return text
}

// cutHost parts what follows "://" into the host and the rest.
func cutHost(text string) (hostPattern, string, error) {
	if strings.HasPrefix(text, "[") {
		inside, rest, ok := strings.Cut(text[1:], "]")
		if !ok {
			return hostPattern{}, "", faulty(text, "has no closing bracket: write [fd00::1] or [10.0.0.0/8]")
		}
		h, err := parseAddress(inside)
		return h, rest, err
	}
	end := strings.IndexAny(text, ":/")
	if end < 0 {
		end = len(text)
	}
	host, rest := text[:end], text[end:]
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
		return cutNetwork(host, rest)
	}
	if colons, _, _ := strings.Cut(text, "/"); strings.Count(colons, ":") > 1 && strings.Contains(colons, "::") {
		return hostPattern{}, "", faulty(colons, "looks like an IPv6 address: write it in brackets, [fd00::1]")
	}
	h, err := parseName(host)
	return h, rest, err
}

// cutNetwork reads an IPv4 address that may be the beginning of a network. What
// could be a network or a path is refused: one of them would be wider than meant.
func cutNetwork(host, rest string) (hostPattern, string, error) {
	after, slash := strings.CutPrefix(rest, "/")
	digits := after[:len(after)-len(strings.TrimLeft(after, "0123456789"))]
	bits, err := strconv.Atoi(digits)
	if !slash || err != nil || bits > 32 {
		h, err := parseAddress(host)
		return h, rest, err
	}
	rest = after[len(digits):]
	switch {
	case rest == "" || rest[0] == ':':
		h, err := parseAddress(host + "/" + digits)
		return h, rest, err
	case rest[0] == '/':
		return hostPattern{}, "", faulty(host+"/"+digits+rest, "can be read in two ways: write ["+host+"/"+digits+"]"+rest+" for the network, or ["+host+"]/"+digits+rest+" for the path")
	}
	h, err := parseAddress(host)
	return h, "/" + after, err
}

// parseAddress reads an address or a network.
func parseAddress(text string) (hostPattern, error) {
	address, bits, isNetwork := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return hostPattern{}, faulty(text, "is no address: write one such as 10.1.2.3 or [fd00::1], or a network such as 10.0.0.0/8 or [fd00::/8]")
	}
	length := addr.BitLen()
	if isNetwork {
		n, err := strconv.ParseUint(bits, 10, 8)
		if err != nil || int(n) > length {
			return hostPattern{}, faulty(text, "has no length that its network can have: write 0 to "+strconv.Itoa(length)+" after the /")
		}
		length = int(n)
	}
	if addr.Is4In6() {
		if length < 96 {
			return hostPattern{}, faulty(text, "is wider than all of IPv4: write the IPv4 network itself")
		}
		addr, length = addr.Unmap(), length-96
	}
	network := netip.PrefixFrom(addr, length)
	if network.Masked() != network {
		return hostPattern{}, faulty(text, "is an address within a network: write "+network.Masked().String()+" for the network, or "+addr.String()+" for the address")
	}
	return hostPattern{network: network}, nil
}

// parseName reads a name, which may have wildcards.
func parseName(text string) (hostPattern, error) {
	name := strings.TrimSuffix(text, ".")
	if name == "*" || name == "**" {
		return hostPattern{any: true}, nil
	}
	const usual = "is no host: write a name such as erp.plant2.internal or *.plant2.internal, an address, a network such as 10.0.0.0/8, or *"
	labels := strings.Split(name, ".")
	parts := make([]part, len(labels))
	for i, label := range labels {
		p, ok := parseLabel(label, i == 0)
		if !ok {
			return hostPattern{}, faulty(text, usual)
		}
		labels[i], parts[i] = p.text, p
	}
	name = strings.Join(labels, ".")
	if len(name) > 253 || numeric(labels[len(labels)-1]) {
		return hostPattern{}, faulty(text, usual)
	}
	h := hostPattern{name: name}
	switch {
	case parts[0].deep: // one label at least
		h.labels = slices.Concat([]part{{text: "*", wild: true}}, parts)
	case strings.Contains(name, "*"):
		h.labels = parts
	}
	return h, nil
}

func parseLabel(label string, first bool) (part, bool) {
	if label == "**" {
		return part{text: label, deep: true}, first
	}
	wild := strings.Contains(label, "*")
	if strings.Contains(label, "**") {
		return part{}, false
	}
	ascii, ok := asciiName(label)
	if !ok || wild && ascii != strings.ToLower(label) {
		return part{}, false
	}
	if ascii == "" || len(ascii) > 63 || strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-_*") != "" {
		return part{}, false
	}
	return part{text: ascii, wild: wild}, true
}

// asciiName is a name in lower case, in the form in which it is looked up (RFC
// 5891), without a final dot.
func asciiName(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	upper := false
	for i := range len(name) {
		if name[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(name) // as net/http does
			return ascii, err == nil
		}
		upper = upper || 'A' <= name[i] && name[i] <= 'Z'
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, true
}

// numeric says whether a label has the form of the last part of an IPv4 address
// in one of its old spellings, which no name ends with (WHATWG URL, 3.5).
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
