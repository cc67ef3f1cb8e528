package outbound

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// guard refuses to connect to addresses that are not public. It runs for each
// address at the moment of connecting, when no name stands between it and the
// kernel any more.
type guard struct{ allow []netip.Prefix }

// forbiddenAddress is why the guard stopped a connect.
type forbiddenAddress struct{ addr netip.Addr }

func (e *forbiddenAddress) Error() string {
	return "connecting to " + e.addr.String() + " is not allowed: it is not a public address"
}

// control is a net.Dialer's ControlContext. It asks the guard, where there is
// one, and the request's Judge, where it has one.
func (g *guard) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address to connect to: %w", err)
	}
	if g != nil && !g.permits(ap.Addr()) {
		return &forbiddenAddress{addr: ap.Addr().WithZone("").Unmap()}
	}
	if j := judgeOf(ctx); j != nil {
		return j.Address(ap.Addr())
	}
	return nil
}

func (g guard) permits(addr netip.Addr) bool {
	addr = Destination(addr)
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	for _, p := range notPublic {
		if p.Contains(addr) {
			return false
		}
	}
	return addr.Is4() || globalUnicast.Contains(addr)
}

// Destination is the address at which a packet to addr ends: IPv6 addresses
// that only wrap an IPv4 one are that one.
func Destination(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return addr
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case v4Compatible.Contains(addr) && !addr.IsUnspecified() && !addr.IsLoopback():
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return addr
}

var (
	// globalUnicast is all of IPv6 that is given out to the public Internet;
	// unique local (AWS's metadata), link-local, site-local and multicast
	// addresses lie outside.
	globalUnicast = netip.MustParsePrefix("2000::/3")

	nat64        = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour    = netip.MustParsePrefix("2002::/16")    // RFC 3056
	v4Compatible = netip.MustParsePrefix("::/96")        // RFC 4291, section 2.5.5.1; deprecated
)

// notPublic follows the IANA special-purpose address registries, and adds the
// one cloud metadata address that lies outside of them.
var notPublic = prefixes(
	"0.0.0.0/8",        // this network; 0.0.0.0 connects to loopback
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared by carriers (CGNAT); Alibaba's metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's wire server, reachable from every machine there
	"169.254.0.0/16",   // link-local; the metadata of most clouds
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; Oracle's metadata
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays, withdrawn
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
	"2001::/23",        // protocol assignments: Teredo, ORCHID
	"2001:db8::/32",    // documentation
	"3fff::/20",        // documentation
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// ParseAllow reads exceptions from the guard: CIDR prefixes, single addresses,
// and the words "loopback" and "private".
func ParseAllow(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, item := range list {
		item = strings.TrimSpace(item)
		switch item {
		case "":
			continue
		case "loopback":
			out = append(out, prefixes("127.0.0.0/8", "::1/128")...)
			continue
		case "private":
			out = append(out, prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")...)
			continue
		}
		p, err := parsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("%q is not an IP address, a prefix such as 10.0.0.0/8, \"loopback\" or \"private\"", item)
		}
		out = append(out, p)
	}
	return out, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = addr.WithZone("").Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}
