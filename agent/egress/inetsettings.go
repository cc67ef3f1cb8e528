package egress

import (
	"encoding/binary"
	"errors"
	"strings"
)

// How Windows keeps its proxy settings; read by system_windows.go.

// internetSettings are the values of a registry key "Internet Settings".
type internetSettings struct {
	enabled  bool   // ProxyEnable
	server   string // ProxyServer: one for all, or "http=host:port;https=host:port;socks=host:port"
	override string // ProxyOverride: exceptions, separated by semicolons
	pac      string // AutoConfigURL
	detect   bool   // look for a PAC script in the network
}

// settings are these values as this package uses them.
func (v internetSettings) settings(source string) settings {
	s := settings{source: source, pac: v.pac, detect: v.detect}
	if !v.enabled || v.server == "" {
		return s
	}
	s.proxies = proxyServers(v.server)
	for pattern := range strings.FieldsFuncSeq(v.override, func(r rune) bool { return r == ';' || r == ' ' }) {
		switch pattern {
		case "<local>":
			s.bypass.plain = true
		case "<-loopback>": // would send what is meant for this machine to the proxy
		default:
			s.bypass.patterns = append(s.bypass.patterns, pattern)
		}
	}
	return s
}

// proxyServers reads ProxyServer into proxies by the target's scheme.
func proxyServers(text string) map[string]string {
	proxies := map[string]string{}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == ' ' }) {
		scheme, server, ok := strings.Cut(part, "=")
		if !ok { // one for all
			proxies["http"], proxies["https"] = part, part
			continue
		}
		proxies[strings.ToLower(scheme)] = server
	}
	return proxies
}

// Flags of a connection's settings, at byte 8.
const (
	flagProxy  = 2
	flagPAC    = 4
	flagDetect = 8
)

// errSettings: the value is not of the known form.
var errSettings = errors.New("not of the known form")

// parseConnection reads the binary values DefaultConnectionSettings and
// WinHttpSettings. Microsoft does not document them; they are three 32-bit
// numbers (version, counter, flags), then texts of a 32-bit length each: the
// proxy, the exceptions, and, in the former only, the URL of the script.
func parseConnection(raw []byte) (internetSettings, error) {
	const header = 12
	if len(raw) < header {
		return internetSettings{}, errSettings
	}
	flags := binary.LittleEndian.Uint32(raw[8:])
	v := internetSettings{enabled: flags&flagProxy != 0, detect: flags&flagDetect != 0}
	raw = raw[header:]
	var pac string
	for _, text := range []*string{&v.server, &v.override, &pac} {
		if len(raw) < 4 {
			break // the rest is left out
		}
		n := binary.LittleEndian.Uint32(raw)
		raw = raw[4:]
		if uint64(n) > uint64(len(raw)) {
			return internetSettings{}, errSettings
		}
		*text, raw = string(raw[:n]), raw[n:]
	}
	if flags&flagPAC != 0 {
		v.pac = pac
	}
	return v, nil
}
