package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"sallyport/agent/egress"
	"sallyport/proto"
)

// FirewallRequest is the text to hand to whoever runs firewalls and proxies:
// what has to be let through, and what must be left alone. It looks up names,
// and connects to nobody.
func FirewallRequest(ctx context.Context, o Options) (string, error) {
	o.Observe = nil
	if o.Step == 0 {
		o.Step = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &examination{Options: o, stopped: func() bool { return ctx.Err() != nil }}
	e.configuration()
	e.chooseProxy()
	if e.blocked != "" {
		last := e.report.Checks[len(e.report.Checks)-1]
		for _, r := range e.report.Checks {
			if r.Status == Fail {
				last = r
				break
			}
		}
		return "", errors.New(strings.TrimRight(last.Message+" "+last.Remedy, "."))
	}
	var addresses []netip.Addr
	e.check(CheckDNS, e.relay.Host, func(r *Result) { addresses = e.lookUp(ctx, r, e.relay) })
	return e.firewallText(texts(addresses)), nil
}

func (e *examination) firewallText(addresses []string) string {
	host, port := e.relay.Hostname(), portOf(e.relay)
	var b strings.Builder
	section := func(title string) { fmt.Fprintf(&b, "\n%s\n", title) }
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%s\n", hang("  "+pad(name, 13), fmt.Sprintf(format, args...)))
	}
	point := func(format string, args ...any) {
		fmt.Fprintf(&b, "%s\n", hang("  - ", fmt.Sprintf(format, args...)))
	}
	known := "not known from this machine; please look it up where the connection leaves the company"
	if len(addresses) > 0 {
		known = strings.Join(addresses, ", ") + " today. They can change: please allow by name"
	}
	source := strings.Join(append([]string{hostname()}, e.sources(addresses)...), ", ")

	fmt.Fprintf(&b, "FIREWALL REQUEST: SALLYPORT AGENT\nMade by sallyport-agent doctor on %s, %s.\n", hostname(), day(e.Clock()))
	section("What it is for")
	fmt.Fprintln(&b, hang("  ", "The program sallyport-agent runs on the machine below. It opens connections outwards to its relay and holds them; through them the relay reaches the applications of this site that were agreed on. Nothing connects inwards."))

	section("Please allow")
	if e.proxy != nil {
		line("From", "%s", source)
		line("To the proxy", "%s, TCP port %s (found in: %s)", e.proxy.Hostname(), portOf(e.proxy), e.wayFrom())
		line("Method", "%s", map[bool]string{true: "SOCKS5 to " + host + ", port " + port, false: "CONNECT " + host + ":" + port}[strings.HasPrefix(e.proxy.Scheme, "socks")])
		line("Proxy to", "%s, TCP port %s", host, port)
	} else {
		line("From", "%s", source)
		line("To", "%s, TCP port %s", host, port)
	}
	if !isAddress(host) {
		line("Addresses", "%s.", known)
	}
	line("Direction", "outbound only. No inbound rule, no port forwarding, no public address.")
	if e.relay.Scheme == "https" {
		line("Protocol", "TLS 1.2 or newer (SNI: %s); within it HTTP/1.1, upgraded to a websocket (RFC 6455, subprotocol %s).", host, proto.Subprotocol)
	} else {
		line("Protocol", "HTTP/1.1 without TLS, upgraded to a websocket (RFC 6455, subprotocol %s).", proto.Subprotocol)
	}
	line("Paths", "GET %s (the websocket), POST and DELETE %s (once each, to enrol and to leave), GET /readyz and /healthz (to check), GET /install.sh, /install.ps1 and /downloads/ (to install and to upgrade).", proto.TunnelPath, proto.EnrollPath)
	line("Connections", "2 that last for days, and a third for moments while one is replaced.")
	line("Idle time", "a ping every 4 seconds and its answer; time-outs for idle connections of 30 seconds or more do no harm.")
	if !isAddress(host) {
		line("Names", "%s has to be resolved by %s.", host, map[bool]string{true: "the proxy", false: "this machine (DNS)"}[e.proxy != nil])
	}

	section("Please leave alone")
	point("Do not end connections because they are old or have carried much.")
	point("Do not buffer what goes through them: small messages have to arrive at once.")

	section("Where TLS is inspected")
	point("Best: exempt %s from inspection. The relay's own certificate is then checked by the agent.", host)
	point("Otherwise: let the websocket upgrade pass (HTTP/1.1, the fields Connection, Upgrade and Sec-WebSocket-*), and what follows it unread; and give the certificate of the inspecting authority (PEM) to the agent's administrator, who names it in caFile.")

	section("Where a proxy is the only way out")
	if e.proxy == nil {
		point("None was found on this machine (%s). If there is one, tell its address, and how it wants a login, to the agent's administrator.", e.wayFrom())
	}
	if pac := e.way().PAC; pac != "" {
		point("This machine is told to choose its proxy by the script %s, which the agent does not run: please tell which proxy it gives for %s.", pac, host)
	}
	point("It has to allow CONNECT to %s:%s, without a limit of time.", host, port)
	point("The agent logs in with Basic, Digest, NTLM or Negotiate (Kerberos); an account of its own, whose password does not expire, is best.")

	section("To check it afterwards, on the machine")
	fmt.Fprintf(&b, "  sallyport-agent doctor --relay %s\n", e.relay)
	return b.String()
}

// way is the way out that is taken, as far as it is known.
func (e *examination) way() egress.Way {
	way, _ := e.Egress.Way(e.relay) // was asked before, and was understood
	return way
}

func (e *examination) wayFrom() string { return e.way().Source }

// sources are the addresses from which the machine connects: the one that the
// kernel chooses for the destination, or all where that is not known.
func (e *examination) sources(addresses []string) []string {
	peer, destinations := e.relay, addresses
	if e.proxy != nil {
		peer, destinations = e.proxy, []string{e.proxy.Hostname()}
	}
	for _, address := range destinations {
		// A UDP socket that is connected has chosen; nothing is sent.
		conn, err := net.DialTimeout("udp", net.JoinHostPort(address, portOf(peer)), e.Step)
		if err != nil {
			continue
		}
		defer conn.Close()
		if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			return []string{local.IP.String()}
		}
	}
	return ownAddresses()
}

// ownAddresses are this machine's, loopback and link-local left out.
func ownAddresses() []string {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out
}
