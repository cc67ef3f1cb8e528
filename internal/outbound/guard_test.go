package outbound

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

func TestGuardPermitsPublicAddressesOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34":          true,
		"8.8.8.8":                true,
		"172.32.0.1":             true, // just above 172.16/12
		"100.128.0.1":            true, // just above CGNAT
		"2606:2800:220:1::1":     true,
		"64:ff9b::5db8:d822":     true, // NAT64 of 93.184.216.34
		"2002:5db8:d822::1":      true, // 6to4 of 93.184.216.34
		"0.0.0.0":                false,
		"0.1.2.3":                false,
		"10.0.0.7":               false,
		"100.64.0.1":             false,
		"100.100.100.200":        false, // Alibaba's metadata
		"127.0.0.1":              false,
		"127.255.255.254":        false,
		"168.63.129.16":          false, // Azure's wire server
		"169.254.169.254":        false, // metadata of most clouds
		"172.16.0.1":             false,
		"172.31.255.255":         false,
		"192.0.0.192":            false, // Oracle's metadata
		"192.168.1.1":            false,
		"198.18.0.1":             false,
		"224.0.0.1":              false,
		"240.0.0.1":              false,
		"255.255.255.255":        false,
		"::":                     false,
		"::1":                    false,
		"::ffff:127.0.0.1":       false, // IPv4-mapped
		"::ffff:10.0.0.7":        false,
		"::ffff:93.184.216.34":   true,
		"::127.0.0.1":            false, // IPv4-compatible
		"64:ff9b::7f00:1":        false, // NAT64 of 127.0.0.1
		"64:ff9b::a9fe:a9fe":     false, // NAT64 of 169.254.169.254
		"64:ff9b:1::a00:7":       false, // NAT64 of a site
		"2002:a00:7::1":          false, // 6to4 of 10.0.0.7
		"2001:0:4136:e378::1":    false, // Teredo
		"2001:db8::1":            false,
		"fc00::1":                false,
		"fd00:ec2::254":          false, // AWS's IPv6 metadata
		"fe80::1":                false,
		"fe80::1%eth0":           false,
		"fec0::1":                false,
		"ff02::1":                false,
		"100::1":                 false,
		"::ffff:0:127.0.0.1":     false, // IPv4-translated (SIIT)
		"2001:4860:4860::8888":   true,
		"fdff:ffff:ffff:ffff::1": false,
		"192.88.99.1":            false,
		"203.0.113.9":            false,
		"::ffff:169.254.169.254": false,
		"2002:7f00:1::7f00:1":    false,
		"2002:a9fe:a9fe::1":      false,
		"64:ff9b::c0a8:101":      false,
		"3fff:1::1":              false,
		"5f00::1":                false,
	} {
		if got := (guard{}).permits(netip.MustParseAddr(address)); got != want {
			t.Errorf("permits(%s) = %v, want %v", address, got, want)
		}
	}
}

func TestAllowedAddressesPassTheGuard(t *testing.T) {
	allow, err := ParseAllow([]string{"10.1.0.0/16", " 192.168.7.9 ", "loopback", "fd00::/8", "::ffff:172.16.5.0/120", ""})
	if err != nil {
		t.Fatal(err)
	}
	g := guard{allow: allow}
	for address, want := range map[string]bool{
		"10.1.255.1": true, "10.2.0.1": false, "192.168.7.9": true, "192.168.7.10": false,
		"127.0.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "64:ff9b::7f00:1": true,
		"fd00:1::1": true, "fe80::1": false, "172.16.5.77": true, "172.16.6.1": false, "0.0.0.0": false,
	} {
		if got := g.permits(netip.MustParseAddr(address)); got != want {
			t.Errorf("permits(%s) = %v, want %v", address, got, want)
		}
	}
	private, err := ParseAllow([]string{"private"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"10.0.0.1": true, "172.20.0.1": true, "192.168.0.1": true, "fc00::1": true, "127.0.0.1": false, "169.254.169.254": false} {
		if got := (guard{allow: private}).permits(netip.MustParseAddr(address)); got != want {
			t.Errorf("with private, permits(%s) = %v, want %v", address, got, want)
		}
	}
}

func TestParseAllowNamesWhatIsWrong(t *testing.T) {
	for _, item := range []string{"localhost", "10.0.0.0/33", "10.0.0", "*"} {
		if _, err := ParseAllow([]string{"127.0.0.1", item}); err == nil || !strings.Contains(err.Error(), item) {
			t.Errorf("%q: error %v does not name it", item, err)
		}
	}
}

func TestGuardStopsEverySpellingOfLoopback(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	tr := transport(t, Options{Guard: true, Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(server.URL) }})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1.2.3"} {
		e := mustFail(t, tr, request(t, "GET", "http://"+net.JoinHostPort(strings.Trim(host, "[]"), port)+"/", ""))
		if e.Code != proto.CodeAddressForbidden || e.Reason != proto.ReasonAddress || e.Outcome != proto.OutcomeNotSent || e.Facts["address"] == "" {
			t.Errorf("%s: %s/%s/%s %v", host, e.Code, e.Reason, e.Outcome, e.Facts)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the server was reached %d times", n)
	}
}

func TestGuardLetsExceptionsThrough(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	allow, _ := ParseAllow([]string{"127.0.0.1"})
	resp, err := transport(t, Options{Guard: true, AllowPrivate: allow}).RoundTrip(request(t, "GET", server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// A name that is public when it is checked and private when it is used must not
// get through: the guard looks at what is connected to.
func TestGuardSeesThroughRebinding(t *testing.T) {
	var asked atomic.Int32
	resolver := testkit.Resolver(t, func(q dnsmessage.Question) (dnsmessage.RCode, []string) {
		if q.Type != dnsmessage.TypeA {
			return dnsmessage.RCodeSuccess, nil
		}
		if asked.Add(1) == 1 {
			return dnsmessage.RCodeSuccess, []string{"93.184.216.34"}
		}
		return dnsmessage.RCodeSuccess, []string{"127.0.0.1"}
	})
	addresses, err := resolver.LookupHost(t.Context(), "rebind.test")
	if err != nil || len(addresses) != 1 || addresses[0] != "93.184.216.34" {
		t.Fatalf("first look-up: %v %v", addresses, err)
	}
	tr := transport(t, Options{Guard: true, Resolver: resolver})
	e := mustFail(t, tr, request(t, "GET", "http://rebind.test/", ""))
	expect{proto.CodeAddressForbidden, proto.ReasonAddress, proto.OutcomeNotSent,
		map[string]string{"address": "127.0.0.1", "host": "rebind.test"}, []string{"127.0.0.1", "rebind.test"}}.check(t, e)
}
