package egress

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// examine runs doctor in the company, and returns how its checks ended.
func (c *company) examine(t *testing.T, more ...string) (checks map[string]string, said string) {
	t.Helper()
	p := c.agent(t, "doctor", append([]string{"--json", "--relay", "https://" + c.relay.host}, more...)...)
	_ = p.Err() // 1 where a check failed
	said = p.Log().String()
	var report struct {
		Checks []struct{ Name, Status, Message, Remedy string }
	}
	if err := json.Unmarshal([]byte(said), &report); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	checks = map[string]string{}
	for _, k := range report.Checks {
		checks[k.Name] = k.Status + ": " + k.Message + " → " + k.Remedy
	}
	if strings.Contains(said, password) {
		t.Errorf("doctor says the password: %s", said)
	}
	return checks, said
}

// TestDoctorNamesWhatStandsBetween: real proxies, and whose fault it is.
func TestDoctorNamesWhatStandsBetween(t *testing.T) {
	relay := startRelay(t, "relay.test")
	_, port, _ := net.SplitHostPort(relay.host)
	names := map[string]string{"relay.test": "127.0.0.1"}
	dir := testkit.SquidDir(t)
	squid := testkit.StartSquid(t, testkit.SquidOptions{Dir: dir, Config: append(basicLogin(t, dir), rules(port)...), Hosts: names})
	open := testkit.StartSquid(t, testkit.SquidOptions{Config: []string{"http_access allow CONNECT"}, Hosts: names})
	inspecting, itsAuthority := startMitmproxy(t, open.Address, relay.authority.File)
	trust := []string{"--ca-file", relay.authority.File}
	beyond := []string{"tls", "http", "clock", "websocket", "round-trip", "idle"}

	for _, c := range []struct {
		name string
		args []string
		env  []string
		want map[string][]string // by check: its status, and what it says
		pass []string
		skip []string
	}{
		{name: "a proxy that wants a login", args: append(trust, "--proxy", "http://"+squid.Address), skip: beyond,
			want: map[string][]string{"proxy-connect": {"fail", "wants a login (407", `Basic realm="corp"`, "proxyUser"}, "tcp-ipv4": {"pass", "Connected to the proxy"}}},
		{name: "a wrong password", args: trust, env: []string{"SALLYPORT_PROXY=http://svc:wr0ng@" + squid.Address}, skip: beyond,
			want: map[string][]string{"proxy-connect": {"fail", "refuses the login", `"svc"`, "Check the user"}}},
		{name: "the right password, from the environment", args: trust, env: []string{"HTTPS_PROXY=http://svc:" + password + "@" + squid.Address}, pass: beyond,
			want: map[string][]string{"proxy": {"pass", "HTTPS_PROXY"}, "dns": {"warn", "Nothing has to be done"}}},
		{name: "a proxy that opens TLS, whose authority is unknown", args: []string{"--proxy", "http://" + inspecting}, skip: []string{"http", "websocket", "round-trip"},
			want: map[string][]string{"tls": {"fail", "mitmproxy inspects TLS", "--ca-file"}}},
		{name: "a proxy that opens TLS, whose authority is known", args: []string{"--ca-file", itsAuthority, "--proxy", "http://" + inspecting},
			pass: []string{"http", "clock", "websocket", "round-trip", "idle"},
			want: map[string][]string{"tls": {"warn", "mitmproxy on the way", "exempted"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checks, said := relay.company(t, c.args, c.env).examine(t, "--idle", "1s")
			for _, name := range c.pass {
				c.want[name] = []string{"pass"}
			}
			for _, name := range c.skip {
				c.want[name] = []string{"skip"}
			}
			for name, want := range c.want {
				if !strings.HasPrefix(checks[name], want[0]+": ") {
					t.Errorf("%s: %s, want %s", name, checks[name], want[0])
				}
				for _, says := range want[1:] {
					if !strings.Contains(checks[name], says) {
						t.Errorf("%s does not say %q: %s", name, says, checks[name])
					}
				}
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}
