package trust

import (
	"fmt"

	"sallyport/internal/outbound"
)

// Hosts says how TLS differs for which hosts. It does not change: another
// configuration, or another pin, makes another one.
type Hosts struct {
	pins    map[string]*outbound.Fingerprint // by address
	clients []clientCertificate
}

// New reads the pins of a data directory ("": none) and the files of the client
// certificates.
func New(dir string, clients []Client) (*Hosts, error) {
	h := &Hosts{pins: map[string]*outbound.Fingerprint{}}
	if dir != "" {
		pins, err := Load(dir)
		if err != nil {
			return nil, err
		}
		for _, p := range pins {
			f, err := ParseFingerprint(p.SHA256)
			if err != nil {
				return nil, err
			}
			h.pins[p.Host] = &f
		}
	}
	for i, c := range clients {
		read, err := c.read()
		if err != nil {
			return nil, fmt.Errorf("clientCertificates: the %s (host %s): %w", ordinal(i+1), c.Host, err)
		}
		h.clients = append(h.clients, read)
	}
	return h, nil
}

// TLS is how it differs for one host; see outbound.Options.HostTLS. The first
// client certificate that is for the host is shown.
func (h *Hosts) TLS(host, port string) outbound.HostTLS {
	var out outbound.HostTLS
	if len(h.pins) > 0 {
		out.Pin = h.pins[address(host, port)]
	}
	for _, c := range h.clients {
		if c.host.MatchHost(host, port) {
			out.Certificate = c.cert
			break
		}
	}
	return out
}

func ordinal(n int) string {
	switch n {
	case 1:
		return "1st"
	case 2:
		return "2nd"
	case 3:
		return "3rd"
	}
	return fmt.Sprintf("%dth", n)
}
