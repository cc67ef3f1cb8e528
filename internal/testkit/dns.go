package testkit

import (
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// ServeDNS is the site's own name server: it knows the given names, all at one
// address, and answers NXDOMAIN for every other.
func (s *Site) ServeDNS(t testing.TB, address [4]byte, names ...string) {
	t.Helper()
	var conn net.PacketConn
	err := enterNamespace(s.Name, func() (err error) {
		conn, err = net.ListenPacket("udp", "127.0.0.1:53")
		return err
	})
	if err != nil {
		t.Fatalf("name server inside %s: %v", s.Name, err)
	}
	known := make(map[string]bool, len(names))
	for _, n := range names {
		known[n+"."] = true
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := answerDNS(buf[:n], known, address); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
}

// answerDNS returns the answer to one query, or nil to what is none.
func answerDNS(query []byte, known map[string]bool, address [4]byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Additionals = nil
	switch {
	case !known[q.Name.String()]:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}
