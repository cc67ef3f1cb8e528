package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxAddresses is how many addresses of a name are tried; services with more
// spread them at random.
const maxAddresses = 8

// Attempt is one TCP connection that was tried, among the facts.
type Attempt struct {
	Address    string  `json:"address"`
	DurationMs float64 `json:"durationMs"`
	Error      string  `json:"error,omitempty"` // "": it was opened; else refused, timeout, no_route, reset, failed
}

// connect opens a TCP connection to each address of who is dialled. The two
// families are told apart, since one is often broken where the other works.
func (e *examination) connect(ctx context.Context) {
	peer, called := e.relay, "the relay"
	if e.proxy != nil {
		peer, called = e.proxy, "the proxy"
	}
	if e.blocked != "" {
		e.skip(CheckTCP4, hostOf(peer), "needs "+e.blocked+", which failed")
		return
	}
	started := time.Now()
	attempts := e.dialEach(ctx, portOf(peer))
	took := ms(time.Since(started))
	byFamily := map[string][]Attempt{}
	opened := 0
	for i, a := range attempts {
		name := CheckTCP6
		if e.addresses[i].Is4() {
			name = CheckTCP4
		}
		byFamily[name] = append(byFamily[name], a)
		if a.Error == "" {
			opened++
		}
	}
	for _, name := range []string{CheckTCP4, CheckTCP6} {
		if family := byFamily[name]; len(family) > 0 {
			r := Result{Name: name, Subject: hostPort(peer), DurationMs: took, Facts: Facts{"attempts": family}}
			judgeFamily(&r, family, called, opened > 0)
			if e.keep(r).Status == Fail && e.blocked == "" {
				e.blocked = name
			}
		}
	}
}

// dialEach tries every address at once.
func (e *examination) dialEach(ctx context.Context, port string) []Attempt {
	e.addresses = e.addresses[:min(len(e.addresses), maxAddresses)]
	attempts := make([]Attempt, len(e.addresses))
	var all sync.WaitGroup
	for i, address := range e.addresses {
		all.Go(func() { attempts[i] = e.try(ctx, address, port) })
	}
	all.Wait()
	return attempts
}

func (e *examination) try(ctx context.Context, address netip.Addr, port string) Attempt {
	dialer := net.Dialer{Timeout: e.Step}
	a := Attempt{Address: net.JoinHostPort(address.String(), port)}
	started := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", a.Address)
	a.DurationMs = ms(time.Since(started))
	if err != nil {
		a.Error = kindOf(err)
		return a
	}
	_ = conn.Close()
	return a
}

// judgeFamily settles the result of one address family. otherwise says that
// some address, of either family, can be reached.
func judgeFamily(r *Result, family []Attempt, called string, otherwise bool) {
	var good, bad []Attempt
	for _, a := range family {
		if a.Error == "" {
			good = append(good, a)
		} else {
			bad = append(bad, a)
		}
	}
	if len(bad) == 0 {
		r.pass(fmt.Sprintf("Connected to %s at %s.", called, inTime(good)))
		return
	}
	message, remedy := explainRefusal(bad, called)
	switch {
	case len(good) > 0:
		r.warn(fmt.Sprintf("%s %s can be reached.", message, inTime(good)), "The agent uses an address that answers, after a delay; "+lower(remedy))
	case otherwise && r.Name == CheckTCP6:
		r.warn(message+" IPv4 works.", "Have IPv6 repaired or switched off on this machine, so that connections don't wait for it.")
	case otherwise:
		r.warn(message+" The other address family works.", "The agent uses what works; "+lower(remedy))
	default:
		r.fail(message, remedy)
	}
}

// explainRefusal says why addresses can't be reached, and what helps. A port
// that is refused and one that is dropped have different owners.
func explainRefusal(bad []Attempt, called string) (message, remedy string) {
	list := make([]string, len(bad))
	for i, a := range bad {
		list[i] = a.Address
	}
	at := strings.Join(list, ", ")
	switch bad[0].Error {
	case "refused":
		return fmt.Sprintf("%s refused the connection.", at),
			fmt.Sprintf("Check the port, and that %s runs there; a firewall that rejects looks the same: hand it the text of --firewall-request.", called)
	case "timeout":
		return fmt.Sprintf("%s does not answer: packets seem to be dropped.", at),
			"A firewall drops them, as a rule: hand the network team the text of --firewall-request, or set the proxy that leads out."
	case "no_route":
		return fmt.Sprintf("There is no route to %s.", at),
			"Check this machine's network: its gateway, its own firewall, a VPN that is down."
	case "reset":
		return fmt.Sprintf("%s was cut off at once.", at),
			"A firewall resets such connections, as a rule: hand the network team the text of --firewall-request."
	}
	return fmt.Sprintf("%s can't be reached.", at), "Check this machine's network and its own firewall."
}

// kindOf names what kept a TCP connection from being made.
func kindOf(err error) string {
	var timeout net.Error
	switch {
	case errnoIn(err, errnoRefused):
		return "refused"
	case errnoIn(err, errnoNoRoute):
		return "no_route"
	case errnoIn(err, errnoReset):
		return "reset"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "failed"
}

// inTime lists addresses with how long the connect took, which is one round trip.
func inTime(list []Attempt) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = fmt.Sprintf("%s (%.1f ms)", a.Address, a.DurationMs)
	}
	return strings.Join(out, ", ")
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// hostOf is u's host and port, for a subject; u may be nil.
func hostOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Host
}

// portOf is u's port, or that of its scheme.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"https": "443", "http": "80", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
}

// hostPort is what is dialled for u.
func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), portOf(u)) }
