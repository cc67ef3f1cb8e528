package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddress is who the request came from: the peer itself, or, where that
// is a trusted proxy, the last address of X-Forwarded-For that is not one. What
// stands further left could have been written by anybody.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	peer, ok := addressOf(r.RemoteAddr)
	if !ok || !trusts(trusted, peer) {
		return r.RemoteAddr
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	client := r.RemoteAddr
	for i := len(chain) - 1; i >= 0; i-- {
		ip, ok := addressOf(strings.TrimSpace(chain[i]))
		if !ok {
			break
		}
		client = ip.String()
		if !trusts(trusted, ip) {
			break
		}
	}
	return client
}

// addressOf reads an IP address, with or without a port.
func addressOf(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap(), err == nil
}

func trusts(trusted []netip.Prefix, ip netip.Addr) bool {
	for _, prefix := range trusted {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
