package outbound

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/proto"
)

// dnsServer answers queries over UDP and returns a resolver that asks it alone.
// A code above 15 means no answer at all.
func dnsServer(t *testing.T, answer func(dnsmessage.Question) (dnsmessage.RCode, []string)) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
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
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			code, addresses := answer(q)
			if code > 15 {
				continue
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true, RCode: code}, Questions: m.Questions}
			for _, a := range addresses {
				reply.Answers = append(reply.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
				})
			}
			if packed, err := reply.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	// A look-up outlives the request that gave it up; it ends with the test.
	ended, end := context.WithCancel(context.Background())
	t.Cleanup(func() { end(); _ = conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if ended.Err() != nil {
			return nil, ended.Err()
		}
		c, err := (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
		if err == nil {
			context.AfterFunc(ended, func() { _ = c.Close() })
		}
		return c, err
	}}
}

func TestUnknownHostNamesTheServerThatWasAsked(t *testing.T) {
	resolver := dnsServer(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return dnsmessage.RCodeNameError, nil })
	e := mustFail(t, transport(t, Options{Resolver: resolver}), request(t, "POST", "http://erp.plant2.test/", "body"))
	expect{proto.CodeTargetDNS, proto.ReasonHostNotFound, proto.OutcomeNotSent, map[string]string{"host": "erp.plant2.test"}, []string{"erp.plant2.test", "DNS server " + e.Facts["dnsServer"]}}.check(t, e)
	if e.Facts["dnsServer"] == "" || strings.Contains(e.Detail, "erp.plant2.test.") {
		t.Errorf("facts %v, detail %q", e.Facts, e.Detail)
	}
}

func TestFailingNameServerIsNotAnUnknownHost(t *testing.T) {
	resolver := dnsServer(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return dnsmessage.RCodeServerFailure, nil })
	e := mustFail(t, transport(t, Options{Resolver: resolver}), request(t, "GET", "http://erp.plant2.test/", ""))
	expect{proto.CodeTargetDNS, proto.ReasonDNSFailed, proto.OutcomeNotSent, nil, []string{"erp.plant2.test"}}.check(t, e)
}

func TestSilentNameServerTakesTheRequestsTime(t *testing.T) {
	resolver := dnsServer(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return 16, nil })
	req := request(t, "GET", "http://erp.plant2.test/", "")
	req.Header.Set(proto.HeaderTimeout, "100")
	// The look-up goes on without the request; closing the server ends it.
	e := mustFail(t, transport(t, Options{Resolver: resolver}), req)
	expect{proto.CodeTargetTimeout, proto.ReasonTimeout, proto.OutcomeNotSent, map[string]string{"stage": "dns"}, []string{"looking up the name erp.plant2.test"}}.check(t, e)
}
