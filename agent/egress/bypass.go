package egress

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// exceptions are the hosts that a system's settings reach without a proxy.
type exceptions struct {
	patterns []string // such as *.plant2.internal, 10.*, 169.254/16
	plain    bool     // and every name without a dot
}

// match reports whether the target is one of them.
func (x exceptions) match(target *url.URL) bool {
	host := strings.ToLower(target.Hostname())
	ip, err := netip.ParseAddr(host)
	isName := err != nil
	if x.plain && isName && !strings.Contains(host, ".") {
		return true
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(address(target), target.Hostname()), ":")
	for _, pattern := range x.patterns {
		pattern = strings.ToLower(strings.TrimSpace(pattern))
		if scheme, rest, ok := strings.Cut(pattern, "://"); ok {
			if scheme != target.Scheme {
				continue
			}
			pattern = rest
		}
		if strings.Count(pattern, ":") == 1 { // not the address of IPv6
			var only string
			if pattern, only, _ = strings.Cut(pattern, ":"); only != port {
				continue
			}
		}
		pattern = strings.Trim(pattern, "[]")
		if prefix, ok := network(pattern); ok && !isName && prefix.Contains(ip.Unmap()) {
			return true
		}
		if ok, err := path.Match(pattern, host); err == nil && ok {
			return true
		}
	}
	return false
}

// network reads a network as macOS writes it, where trailing zeros may be left
// out.
func network(text string) (netip.Prefix, bool) {
	address, bits, ok := strings.Cut(text, "/")
	if !ok {
		return netip.Prefix{}, false
	}
	if !strings.Contains(address, ":") {
		for strings.Count(address, ".") < 3 {
			address += ".0"
		}
	}
	prefix, err := netip.ParsePrefix(address + "/" + bits)
	return prefix, err == nil
}
