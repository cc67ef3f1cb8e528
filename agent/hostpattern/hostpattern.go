// Package hostpattern reads the patterns by which agent.yaml names hosts: those
// to which a secret may be sent, and those that ask for a client certificate.
//
// A pattern is a name, in which a whole label may be "*" (*.plant2.internal has
// one more label than plant2.internal), or an address, each with ":" and a port
// where only that one is meant; "*" alone is any host. It is compared with the
// host of a URL as it is written there, not with what that resolves to: a
// spelling that the pattern does not have does not match.
package hostpattern

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Pattern is one pattern; its zero value matches nothing.
type Pattern struct {
	text   string
	host   string // "*", an address in its canonical form, or "" for a name
	labels []string
	port   string // "": any
}

// Parse reads a pattern.
func Parse(text string) (Pattern, error) {
	p := Pattern{text: text}
	host := text
	noHost := fmt.Errorf("%q is no host: write a name such as erp.plant2.internal or *.plant2.internal, an address, or one of them with :PORT", text)
	if strings.ContainsAny(text, "/@? ") {
		return Pattern{}, noHost
	}
	if h, port, err := net.SplitHostPort(text); err == nil { // not so for an IPv6 address without brackets
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Pattern{}, fmt.Errorf("%q has no port after its colon: write a number from 1 to 65535, or leave out both", text)
		}
		host, p.port = h, port
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		p.host = addr.WithZone("").Unmap().String()
		return p, nil
	}
	if host == "*" {
		p.host = "*"
		return p, nil
	}
	for label := range strings.SplitSeq(canonicalName(host), ".") {
		if label != "*" && (label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "") {
			return Pattern{}, noHost
		}
		p.labels = append(p.labels, label)
	}
	return p, nil
}

func (p Pattern) String() string { return p.text }

// Equal reports whether the two were written alike.
func (p Pattern) Equal(o Pattern) bool { return p.text == o.text }

// Match reports whether the pattern means the host and port of u.
func (p Pattern) Match(u *url.URL) bool {
	return p.MatchHost(u.Hostname(), Port(u))
}

// MatchHost is Match for a host and port by themselves.
func (p Pattern) MatchHost(host, port string) bool {
	if p.port != "" && p.port != port {
		return false
	}
	if p.host == "*" {
		return host != ""
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.host == addr.WithZone("").Unmap().String()
	}
	labels := strings.Split(canonicalName(host), ".")
	if p.host != "" || len(labels) != len(p.labels) {
		return false
	}
	for i, label := range p.labels {
		if label != labels[i] && (label != "*" || labels[i] == "") {
			return false
		}
	}
	return true
}

// Port is the port of u, or its scheme's own.
func Port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// canonicalName is a name in lower case and in the form in which it is looked
// up (RFC 5891), without a final dot.
func canonicalName(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if name[i] >= 0x80 {
			if ascii, err := idna.Lookup.ToASCII(name); err == nil {
				return ascii
			}
			return name
		}
	}
	return strings.ToLower(name)
}
