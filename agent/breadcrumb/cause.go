package breadcrumb

import (
	"errors"
	"net"
	"strings"
	"unicode"

	"sallyport/agent/egress"
	"sallyport/agent/link"
	"sallyport/proto"
)

// causes are those of the faults on the way to the relay.
var causes = map[egress.Fault]proto.OfflineCause{
	egress.FaultTLS:              proto.CauseCertificate,
	egress.FaultProxyUnreachable: proto.CauseProxy,
	egress.FaultProxy:            proto.CauseProxy,
	egress.FaultProxyAuth:        proto.CauseProxyAuth,
	egress.FaultDenied:           proto.CauseDenied,
	egress.FaultBusy:             proto.CauseBusy,
	egress.FaultPortal:           proto.CauseNotRelay,
	egress.FaultNotRelay:         proto.CauseNotRelay,
}

// CauseOf is why there is no tunnel, by what the last attempt failed with, or
// the last tunnel ended with.
func CauseOf(err error) (proto.OfflineCause, string) {
	if err == nil {
		return proto.CauseConnectionLost, ""
	}
	var refused *proto.Refused
	var dial *egress.DialError
	switch {
	case errors.As(err, new(*link.SupersededError)):
		return proto.CauseSuperseded, printable(err.Error())
	case errors.As(err, &refused):
		return proto.CauseRefused, printable(string(refused.Code) + ": " + refused.Text)
	case errors.As(err, &dial):
		if cause, ok := causes[dial.Fault]; ok {
			return cause, printable(dial.Text)
		}
		return unreachable(dial), printable(dial.Text)
	}
	return proto.CauseConnectionLost, printable(err.Error())
}

// unreachable tells a machine without a network from one that does not reach
// the relay.
func unreachable(e *egress.DialError) proto.OfflineCause {
	var dns *net.DNSError
	switch {
	case noNetwork(e.Err):
		return proto.CauseNoNetwork
	case errors.As(e.Err, &dns) && !dns.IsTimeout && !connected():
		return proto.CauseNoNetwork
	case errors.As(e.Err, &dns):
		return proto.CauseDNS
	}
	return proto.CauseUnreachable
}

// connected reports whether this machine has an address beside those that lead
// nowhere.
func connected() bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // unknown
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// printable makes a text fit to travel in a report.
func printable(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) > proto.MaxOfflineDetail {
		text = strings.ToValidUTF8(text[:proto.MaxOfflineDetail-len("…")], "") + "…"
	}
	return text
}
