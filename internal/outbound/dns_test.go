package outbound

import (
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestUnknownHostNamesTheServerThatWasAsked(t *testing.T) {
	resolver := testkit.Resolver(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return dnsmessage.RCodeNameError, nil })
	e := mustFail(t, transport(t, Options{Resolver: resolver}), request(t, "POST", "http://erp.plant2.test/", "body"))
	expect{proto.CodeTargetDNS, proto.ReasonHostNotFound, proto.OutcomeNotSent, map[string]string{"host": "erp.plant2.test"}, []string{"erp.plant2.test", "DNS server " + e.Facts["dnsServer"]}}.check(t, e)
	if e.Facts["dnsServer"] == "" || strings.Contains(e.Detail, "erp.plant2.test.") {
		t.Errorf("facts %v, detail %q", e.Facts, e.Detail)
	}
}

func TestFailingNameServerIsNotAnUnknownHost(t *testing.T) {
	resolver := testkit.Resolver(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return dnsmessage.RCodeServerFailure, nil })
	e := mustFail(t, transport(t, Options{Resolver: resolver}), request(t, "GET", "http://erp.plant2.test/", ""))
	expect{proto.CodeTargetDNS, proto.ReasonDNSFailed, proto.OutcomeNotSent, nil, []string{"erp.plant2.test"}}.check(t, e)
}

func TestSilentNameServerTakesTheRequestsTime(t *testing.T) {
	resolver := testkit.Resolver(t, func(dnsmessage.Question) (dnsmessage.RCode, []string) { return 16, nil })
	req := request(t, "GET", "http://erp.plant2.test/", "")
	req.Header.Set(proto.HeaderTimeout, "100")
	// The look-up goes on without the request; closing the server ends it.
	e := mustFail(t, transport(t, Options{Resolver: resolver}), req)
	expect{proto.CodeTargetTimeout, proto.ReasonTimeout, proto.OutcomeNotSent, map[string]string{"stage": "dns"}, []string{"looking up the name erp.plant2.test"}}.check(t, e)
}
