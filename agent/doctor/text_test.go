package doctor

import (
	"strings"
	"testing"

	"sallyport/agent/config"
	"sallyport/agent/egress"
)

func TestTextFitsIn80Columns(t *testing.T) {
	for _, relay := range []string{"https://127.0.0.1:1", "https://no-such-relay.invalid", serve(t, &fakeRelay{})} {
		text := examineWith(t, relay, "", nil).Text()
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if !strings.Contains(text, " pass  configuration  ") || !strings.Contains(text, " passed, ") {
			t.Errorf("%s", text)
		}
	}
}

func TestChecksSkippedForOneReasonShareALine(t *testing.T) {
	var tr Transcript
	skip := func(name, why string) Result { return Result{Name: name, Status: Skip, Message: why} }
	var got strings.Builder
	for _, r := range []Result{skip("a", "No."), skip("b", "No."), skip("c", "No."), skip("d", "Why?"), {Name: "e", Status: Pass, Message: "Yes."}, skip("f", "No."), skip("g", "No.")} {
		got.WriteString(tr.Add(r))
	}
	got.WriteString(tr.End())
	want := `- skip  a              No. Nor were b, c.
- skip  d              Why?
✓ pass  e              Yes.
- skip  f              No. Nor was g.
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestSentence(t *testing.T) {
	for text, want := range map[string]string{
		"the proxy refuses":          "The proxy refuses.",
		"relay.test refused.":        "relay.test refused.",
		"127.0.0.1:1 refused":        "127.0.0.1:1 refused.",
		"localhost refused":          "localhost refused.",
		"https://relay.test is gone": "https://relay.test is gone.",
		"":                           ".",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestURLsAreShownWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:p@erp.test/a?b=c#d": "https://erp.test/a?(left out)",
		"https://erp.test/a":           "https://erp.test/a",
		"/login?x=y":                   "/login?(left out)",
		"http://[broken":               "(not a URL)",
	} {
		if got := withoutSecrets(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheFirewallRequestIsCompleteForWhoeverActsOnIt(t *testing.T) {
	c := config.Defaults()
	c.Relay = "https://127.0.0.1:8443"
	request := func(proxy string) string {
		t.Helper()
		way, err := egress.New(egress.Options{Proxy: proxy})
		if err != nil {
			t.Fatal(err)
		}
		text, err := FirewallRequest(t.Context(), Options{Config: c, RelayFrom: "--relay", Egress: way})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		return strings.Join(strings.Fields(text), " ")
	}
	direct := request(egress.ProxyNone)
	for _, says := range []string{hostname(), "To 127.0.0.1, TCP port 8443", "outbound only", "TLS 1.2 or newer (SNI: 127.0.0.1)", "websocket (RFC 6455, subprotocol sallyport.v1)",
		"GET /tunnel", "DELETE /api/v1/enroll", "/install.sh", "/downloads/", "every 4 seconds", "exempt 127.0.0.1 from inspection", "doctor --relay https://127.0.0.1:8443"} {
		if !strings.Contains(direct, says) {
			t.Errorf("it does not say %q:\n%s", says, direct)
		}
	}
	through := request("http://svc:opensesame@proxy.test:3128")
	for _, says := range []string{"To the proxy proxy.test, TCP port 3128", "CONNECT 127.0.0.1:8443", "Proxy to 127.0.0.1, TCP port 8443"} {
		if !strings.Contains(through, says) {
			t.Errorf("it does not say %q:\n%s", says, through)
		}
	}
	if strings.Contains(through, "opensesame") {
		t.Errorf("the password is shown:\n%s", through)
	}
	if socks := request("socks5://proxy.test"); !strings.Contains(socks, "TCP port 1080") || !strings.Contains(socks, "SOCKS5 to 127.0.0.1, port 8443") {
		t.Errorf("%s", socks)
	}
	c.Relay = "https://localhost:8443"
	if named := request(egress.ProxyNone); !strings.Contains(named, "127.0.0.1") || !strings.Contains(named, "allow by name") || !strings.Contains(named, "localhost has to be resolved by this machine (DNS)") {
		t.Errorf("%s", named)
	}
	c.Relay = ""
	if _, err := FirewallRequest(t.Context(), Options{Config: c}); err == nil || !strings.Contains(err.Error(), "--relay URL") {
		t.Errorf("error %v", err)
	}
}
