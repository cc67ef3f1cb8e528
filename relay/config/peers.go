package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// checkPeers reports what does not go together of the options by which relays
// reach each other.
func (c *Config) checkPeers() error {
	if c.PeerListen == "" {
		if c.PeerAddress != "" {
			return fmt.Errorf("peer-address says where other relays reach peer-listen: set that too, or neither")
		}
		return nil
	}
	if strings.HasPrefix(c.Database, "sqlite:") {
		return fmt.Errorf("peer-listen is for relays that share a PostgreSQL, and this one's database is SQLite, which one relay alone can use: leave it out, or set database to the postgres://… of all relays")
	}
	host, port, err := net.SplitHostPort(c.PeerListen)
	if err != nil || !isPort(port, 0) {
		return fmt.Errorf("peer-listen %q: want HOST:PORT, such as 10.0.0.11:8443", c.PeerListen)
	}
	if c.PeerListen == c.Listen || c.PeerListen == c.MetricsListen {
		return fmt.Errorf("peer-listen %s is taken by another listener of this relay: give it a port of its own", c.PeerListen)
	}
	if c.PeerAddress == "" {
		if anyHost(host) {
			return fmt.Errorf("peer-address is needed when peer-listen is %s: set it to the HOST:PORT at which the other relays reach this one, such as 10.0.0.11:%s", c.PeerListen, port)
		}
		return nil
	}
	host, port, err = net.SplitHostPort(c.PeerAddress)
	if err != nil || anyHost(host) || !isPort(port, 1) {
		return fmt.Errorf("peer-address %q: want the HOST:PORT at which the other relays reach this one, such as 10.0.0.11:8443", c.PeerAddress)
	}
	return nil
}

// PeerAddressFor is where other relays reach this one: as was set, or where it
// listens.
func (c *Config) PeerAddressFor(listening net.Addr) string {
	if c.PeerAddress != "" {
		return c.PeerAddress
	}
	host, _, _ := net.SplitHostPort(c.PeerListen)
	_, port, _ := net.SplitHostPort(listening.String())
	return net.JoinHostPort(host, port)
}

// anyHost reports whether a listener on host takes all addresses of its machine.
func anyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func isPort(text string, least int) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= least && n <= 65535
}
