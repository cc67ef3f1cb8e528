package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// slowLookup is from where a name server is worth a word: each reconnect, and
// each request to an application, waits for it.
const slowLookup = time.Second

// names looks up who is dialled. Behind a proxy that is the proxy; the relay's
// own name is then the proxy's to look up, and it is only worth knowing whether
// it could be looked up here too.
func (e *examination) names(ctx context.Context) {
	if e.relay == nil {
		e.skip(CheckDNS, "", "needs "+e.blocked+", which failed")
		return
	}
	if e.proxy == nil {
		e.onTheWay(CheckDNS, e.relay.Hostname(), func(r *Result) { e.addresses = e.lookUp(ctx, r, e.relay) })
		return
	}
	e.onTheWay(CheckDNS, e.proxy.Hostname(), func(r *Result) {
		e.addresses = e.lookUp(ctx, r, e.proxy)
		if r.Status == Fail {
			r.Remedy = "Check the proxy's name for spelling, and that this machine uses the company's own name servers."
		}
	})
	if isAddress(e.relay.Hostname()) {
		return
	}
	e.check(CheckDNS, e.relay.Hostname(), func(r *Result) {
		if e.lookUp(ctx, r, e.relay); r.Status == Fail {
			r.warn(r.Message, "Nothing has to be done where the proxy looks names up, as is usual; if proxy-connect fails, ask for public names to be resolved.")
		}
	})
}

// lookUp finds the addresses of u's host, in r.
func (e *examination) lookUp(ctx context.Context, r *Result, u *url.URL) []netip.Addr {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		r.pass(host + " is an address, so there is no name to look up.")
		r.Facts["addresses"] = []string{host}
		return []netip.Addr{addr}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Step)
	defer cancel()
	asked := &servers{}
	started := time.Now()
	found, err := asked.resolver().LookupNetIP(ctx, "ip", host)
	took := time.Since(started)
	if list := asked.list(); len(list) > 0 {
		r.Facts["nameServers"] = list
	}
	if err != nil {
		explainLookup(r, host, asked.list(), err)
		return nil
	}
	found = distinct(found)
	r.Facts["addresses"] = texts(found)
	switch message := fmt.Sprintf("%s is %s%s.", host, strings.Join(texts(found), ", "), asked.words()); {
	case slices.ContainsFunc(found, netip.Addr.IsUnspecified) || anyLoopback(found) && !isLoopback(host):
		r.fail(message+" That is this machine itself.", "A DNS filter or the hosts file hides the name: ask for it to be resolved to its public addresses.")
	case took > slowLookup:
		r.warn(fmt.Sprintf("%s It took %.1f s.", message, took.Seconds()), "Look at this machine's name servers: the first in the list may not answer.")
	default:
		r.pass(message)
	}
	return found
}

func anyLoopback(list []netip.Addr) bool { return slices.ContainsFunc(list, netip.Addr.IsLoopback) }

func explainLookup(r *Result, host string, asked []string, err error) {
	server := "The system's resolver"
	if len(asked) > 0 {
		server = "The name server " + strings.Join(asked, ", ")
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		r.Facts["error"] = "not_found"
		r.fail(fmt.Sprintf("%s knows no address for %q.", server, host),
			"Check the name for spelling; where only a proxy may look up public names, set the proxy (proxy in agent.yaml, or HTTPS_PROXY).")
	case errors.As(err, &dns) && dns.IsTimeout || errors.Is(err, context.DeadlineExceeded):
		r.Facts["error"] = "timeout"
		r.fail(fmt.Sprintf("%s did not answer in time when asked for %q.", server, host),
			"Check that this machine may reach its name servers (UDP and TCP port 53), and that they are up.")
	default:
		r.Facts["error"] = "failed"
		r.fail(fmt.Sprintf("%s could not look up %q: %v.", server, host, cause(err)), "Check this machine's DNS settings.")
	}
}

// servers notes which name servers a resolver asks.
type servers struct {
	mu    sync.Mutex
	asked []string
}

// resolver is the one that the agent's own connections use. Which servers it
// asks can be seen where it is Go's own, as the agent's always is on Linux.
func (s *servers) resolver() *net.Resolver {
	if runtime.GOOS != "linux" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		s.mu.Lock()
		if host, _, err := net.SplitHostPort(address); err == nil && !slices.Contains(s.asked, host) {
			s.asked = append(s.asked, host)
		}
		s.mu.Unlock()
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
}

func (s *servers) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// words say who was asked.
func (s *servers) words() string {
	switch list := s.list(); {
	case len(list) > 0:
		return ", says " + strings.Join(list, ", ")
	case runtime.GOOS == "linux":
		return ", says the hosts file"
	}
	return ""
}

// distinct is the list without repetition, IPv4 as IPv4.
func distinct(list []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		if a = a.Unmap(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func texts(list []netip.Addr) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// cause is the innermost error: what happened, without the layers through
// which it came.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
