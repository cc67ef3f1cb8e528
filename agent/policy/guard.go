package policy

import (
	"net/netip"

	"sallyport/internal/outbound"
)

// guarded are the addresses that only a rule in so many words allows: one for
// this very network, or for a part of it. What answers there holds the
// credentials of the machine, or is no application.
var guarded = []struct {
	network netip.Prefix
	what    string
}{
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("169.254.169.254/32"), metadata},     // AWS, Azure, Google, Oracle, OpenStack and others
	{netip.MustParsePrefix("169.254.170.2/32"), metadata},       // AWS ECS
	{netip.MustParsePrefix("169.254.170.23/32"), metadata},      // AWS EKS
	{netip.MustParsePrefix("fe80::a9fe:a9fe/128"), metadata},    // OpenStack
	{netip.MustParsePrefix("fd00:ec2::254/128"), metadata},      // AWS
	{netip.MustParsePrefix("fd00:ec2::23/128"), metadata},       // AWS EKS
	{netip.MustParsePrefix("fd20:ce::254/128"), metadata},       // Google
	{netip.MustParsePrefix("100.100.100.200/32"), metadata},     // Alibaba
	{netip.MustParsePrefix("168.63.129.16/32"), metadata},       // Azure's wire server
	{netip.MustParsePrefix("192.0.0.192/32"), metadata},         // Oracle
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), metadata}, // Oracle
}

const metadata = "the metadata service of a cloud machine"

// guardedNames are those of metadata services, for where a proxy on the way
// looks names up. They too want a rule with this very name.
var guardedNames = map[string]bool{
	"metadata.google.internal":   true,
	"metadata.goog":              true,
	"instance-data.ec2.internal": true,
	"metadata.tencentyun.com":    true,
}

// forms are the addresses under which rules may know addr: as it is, without
// what does not tell addresses apart, and where a packet to it ends.
func forms(addr netip.Addr) [2]netip.Addr {
	addr = addr.WithZone("").Unmap()
	if addr.IsUnspecified() { // the kernel connects it to loopback
		if addr.Is4() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		} else {
			addr = netip.IPv6Loopback()
		}
	}
	return [2]netip.Addr{addr, outbound.Destination(addr)}
}

func contains(network netip.Prefix, f [2]netip.Addr) bool {
	return network.Contains(f[0]) || network.Contains(f[1])
}

// guardedAs says what is guarded at an address, in words; "" for nothing.
func guardedAs(f [2]netip.Addr) string {
	what := ""
	for _, g := range guarded {
		if contains(g.network, f) {
			what = g.what // the narrower ones come later
		}
	}
	return what
}

// lifts says whether a rule for a network allows a guarded address in so many
// words.
func lifts(network netip.Prefix, f [2]netip.Addr) bool {
	for _, g := range guarded {
		if contains(g.network, f) && (!g.network.Contains(network.Addr()) || network.Bits() < g.network.Bits()) {
			return false
		}
	}
	return true
}
