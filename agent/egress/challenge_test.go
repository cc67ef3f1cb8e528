package egress

import (
	"strings"
	"testing"
)

func TestChallenges(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string // each challenge as String, with its token and one parameter
	}{
		{[]string{"Negotiate", "NTLM", `Basic realm="corp, inc"`}, `Negotiate|NTLM|Basic realm="corp, inc"`},
		{[]string{`Negotiate, NTLM , basic Realm=corp, charset="UTF-8"`}, `Negotiate|NTLM|basic realm="corp"`},
		{[]string{"NTLM TlRMTVNTUAAC=="}, "NTLM<TlRMTVNTUAAC==>"},
		{[]string{`Digest qop="auth", realm="a \"b\"", nonce=n, Basic realm=x`}, `Digest realm="a "b""{n}|Basic realm="x"`},
		{[]string{"", ",", " , Basic"}, "Basic"},
		{[]string{`realm="nobody's"`}, ""},
		{[]string{"Ba\x01sic realm=\"x\x1by\""}, `Ba sic realm="x y"`},
	} {
		var got []string
		for _, one := range parseChallenges(c.lines) {
			text := one.String()
			if one.token != "" {
				text += "<" + one.token + ">"
			}
			if one.params["nonce"] != "" {
				text += "{" + one.params["nonce"] + "}"
			}
			got = append(got, text)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}
