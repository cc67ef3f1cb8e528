package egress

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWindowsSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		in   internetSettings
		want settings
	}{
		{"one for all", internetSettings{enabled: true, server: "proxy:8080"}, settings{proxies: map[string]string{"http": "proxy:8080", "https": "proxy:8080"}}},
		{"one a scheme", internetSettings{enabled: true, server: "http=h:1;HTTPS=s:2; socks=k:3"}, settings{proxies: map[string]string{"http": "h:1", "https": "s:2", "socks": "k:3"}}},
		{"switched off", internetSettings{server: "proxy:8080"}, settings{}},
		{"script", internetSettings{pac: "http://x/y.pac", detect: true}, settings{pac: "http://x/y.pac", detect: true}},
		{"exceptions", internetSettings{enabled: true, server: "p:1", override: "*.plant2.internal;<local>;10.*;<-loopback>"},
			settings{proxies: map[string]string{"http": "p:1", "https": "p:1"}, bypass: exceptions{patterns: []string{"*.plant2.internal", "10.*"}, plain: true}}},
	} {
		if diff := cmp.Diff(c.want, c.in.settings(""), cmp.AllowUnexported(settings{}, exceptions{})); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// connection is a binary value as Windows has it.
func connection(flags uint32, texts ...string) []byte {
	raw := binary.LittleEndian.AppendUint32([]byte{0x46, 0, 0, 0, 7, 0, 0, 0}, flags)
	for _, text := range texts {
		raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(text))), text...)
	}
	return raw
}

func TestWindowsConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		want internetSettings
		ok   bool
	}{
		{"none", connection(1), internetSettings{}, true},
		{"WinHTTP", connection(3, "proxy:8080", "*.internal"), internetSettings{enabled: true, server: "proxy:8080", override: "*.internal"}, true},
		{"script", connection(1|flagPAC|flagDetect, "", "", "http://x/y.pac"), internetSettings{pac: "http://x/y.pac", detect: true}, true},
		{"script switched off", connection(1, "", "", "http://x/y.pac"), internetSettings{}, true},
		{"padded", append(connection(3, "proxy:8080", ""), make([]byte, 40)...), internetSettings{enabled: true, server: "proxy:8080"}, true},
		{"cut off", connection(3, "proxy:8080")[:20], internetSettings{}, false},
		{"too short", []byte{1, 2, 3}, internetSettings{}, false},
		{"absent", nil, internetSettings{}, false},
	} {
		got, err := parseConnection(c.raw)
		if (err == nil) != c.ok || cmp.Diff(c.want, got, cmp.AllowUnexported(internetSettings{})) != "" {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestServicesFallBackToWinHTTP(t *testing.T) {
	own, services := settings{source: "own", pac: "http://x/y.pac"}, settings{source: "WinHTTP", proxies: map[string]string{"https": "p:1"}}
	got := own.orElse(services)
	if got.source != "WinHTTP" || got.pac != own.pac || got.proxies["https"] != "p:1" {
		t.Errorf("%+v", got)
	}
	if got := services.orElse(own); got.source != "WinHTTP" || got.pac != "" {
		t.Errorf("%+v", got)
	}
	if got := own.orElse(settings{source: "WinHTTP"}); got.source != "own" {
		t.Errorf("%+v", got)
	}
}

func TestMacOSSettings(t *testing.T) {
	const printed = `<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
  }
  ExcludeSimpleHostnames : 1
  FTPPassive : 1
  HTTPEnable : 0
  HTTPPort : 3127
  HTTPProxy : old.plant2.internal
  HTTPSEnable : 1
  HTTPSPort : 3128
  HTTPSProxy : proxy.plant2.internal
  ProxyAutoConfigEnable : 1
  ProxyAutoConfigURLString : http://wpad.plant2.internal/proxy.pac
  ProxyAutoDiscoveryEnable : 1
  SOCKSEnable : 1
  SOCKSPort : 1080
  SOCKSProxy : fd00::1
  __SCOPED__ : <dictionary> {
    en0 : <dictionary> {
      HTTPSEnable : 1
      HTTPSProxy : scoped.plant2.internal
    }
  }
}
`
	want := settings{
		source:  "macOS proxy settings",
		proxies: map[string]string{"https": "proxy.plant2.internal:3128", "socks": "[fd00::1]:1080"},
		bypass:  exceptions{patterns: []string{"*.local", "169.254/16"}, plain: true},
		pac:     "http://wpad.plant2.internal/proxy.pac", detect: true,
	}
	if diff := cmp.Diff(want, parseScutil(printed), cmp.AllowUnexported(settings{}, exceptions{})); diff != "" {
		t.Error(diff)
	}
	if got := parseScutil("<dictionary> {\n}\n"); len(got.proxies) != 0 || got.pac != "" {
		t.Errorf("%+v", got)
	}
}

func TestExceptions(t *testing.T) {
	x := exceptions{patterns: []string{"*.plant2.internal", "10.*", "169.254/16", "https://only.test", "port.test:8443", "[fd00::7]"}, plain: true}
	for target, want := range map[string]bool{
		"https://erp.plant2.internal":      true,
		"https://ERP.Plant2.internal:8443": true,
		"https://plant2.internal":          false,
		"https://10.1.2.3":                 true,
		"https://169.254.1.2":              true,
		"https://169.253.1.2":              false,
		"https://intranet":                 true,
		"https://relay.test":               false,
		"https://only.test":                true,
		"http://only.test":                 false,
		"https://port.test:8443":           true,
		"https://port.test":                false,
		"https://[fd00::7]":                true,
		"https://[fd00::8]":                false,
	} {
		if got := x.match(parse(t, target)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	if (exceptions{}).match(parse(t, "https://intranet")) {
		t.Error("a name without a dot is no exception by itself")
	}
}
