package hostpattern

import (
	"net/url"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for pattern, urls := range map[string][2][]string{ // those that match, and those that do not
		"erp.plant2.internal":   {{"https://erp.plant2.internal", "http://ERP.plant2.internal.:8080/x"}, {"https://erp.plant2.internal.evil.example", "https://plant2.internal", "https://10.0.0.1"}},
		"*.plant2.internal":     {{"https://erp.plant2.internal:8443"}, {"https://plant2.internal", "https://a.b.plant2.internal", "https://.plant2.internal"}},
		"erp:8443":              {{"https://erp:8443/"}, {"https://erp", "http://erp:8080"}},
		"erp:443":               {{"https://erp"}, {"http://erp"}},
		"10.1.2.3":              {{"http://10.1.2.3:9", "http://[::ffff:10.1.2.3]"}, {"http://10.1.2.4", "http://010.1.2.3", "http://167838211"}},
		"[fd00::1]:8443":        {{"https://[fd00:0::1]:8443"}, {"https://[fd00::1]", "https://[fd00::2]:8443"}},
		"fd00::1":               {{"https://[fd00::1]", "https://[fd00::1]:1"}, {"https://[fd00::2]"}},
		"*":                     {{"https://anything", "http://10.0.0.1:1"}, nil},
		"*:443":                 {{"https://anything"}, {"http://anything"}},
		"bücher.example":        {{"https://xn--bcher-kva.example", "https://BÜCHER.example"}, {"https://bucher.example"}},
		"erp-1_a.x9":            {{"https://erp-1_a.x9"}, {"https://erp-1_a.x8"}},
		"xn--bcher-kva.example": {{"https://bücher.example"}, nil},
	} {
		p, err := Parse(pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, list := range urls {
			for _, raw := range list {
				u, err := url.Parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.Match(u); got != (i == 0) {
					t.Errorf("%s matches %s: %v", p, raw, got)
				}
			}
		}
	}
	if u, _ := url.Parse("https://erp"); (Pattern{}).Match(u) {
		t.Error("the zero pattern matches")
	}
}

func TestFaultyPatternsAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"": "is no host", "https://erp": "is no host", "erp/x": "is no host", "erp..x": "is no host", "e*p.x": "is no host",
		"erp:http": "no port", "erp:0": "no port", "erp:70000": "no port", "10.0.0.0/8": "is no host", "erp x": "is no host",
	} {
		if _, err := Parse(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}
