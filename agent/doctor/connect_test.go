package doctor

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/agent/egress"
	"sallyport/internal/testkit"
)

func TestARefusedPortIsToldFromOneThatDrops(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		r := examineWith(t, "https://127.0.0.1:1", "", nil)
		got := expect(t, r, CheckTCP4, Fail, "refused", "--firewall-request")
		if a := got.Facts["attempts"].([]Attempt); len(a) != 1 || a[0].Error != "refused" || a[0].Address != "127.0.0.1:1" {
			t.Errorf("attempts %+v", a)
		}
		expect(t, r, CheckTLS, Skip, "needs tcp-ipv4")
	})
	t.Run("dropped", func(t *testing.T) {
		r := examineWith(t, "https://"+testkit.Unanswered(t), "", func(o *Options) { o.Step = 300 * time.Millisecond })
		got := expect(t, r, CheckTCP4, Fail, "does not answer", "dropped", "--firewall-request")
		if a := got.Facts["attempts"].([]Attempt); len(a) != 1 || a[0].Error != "timeout" {
			t.Errorf("attempts %+v", a)
		}
	})
}

func TestAPortThatOpensAndIsNoTLS(t *testing.T) {
	good := serve(t, &fakeRelay{})
	t.Run("plain HTTP", func(t *testing.T) {
		r := examineWith(t, "https"+strings.TrimPrefix(good, "http"), "", nil)
		expect(t, r, CheckTLS, Fail, "does not speak TLS")
	})
	t.Run("cut off", func(t *testing.T) {
		road := newForwarder(t, good)
		road.Refuse(true)
		r := examineWith(t, "https://"+road.Addr(), "", nil)
		expect(t, r, CheckTCP4, Pass)
		expect(t, r, CheckTLS, Fail, "cut off as soon as TLS begins", "SNI")
	})
	t.Run("silent", func(t *testing.T) {
		road := newForwarder(t, good)
		road.Silence(true)
		r := examineWith(t, "https://"+road.Addr(), "", func(o *Options) { o.Step = time.Second })
		expect(t, r, CheckTCP4, Pass)
		expect(t, r, CheckTLS, Fail, "does not answer within them", "MTU")
	})
}

func TestANameThatCannotBeLookedUp(t *testing.T) {
	// Whether there is a name server decides between "not found" and "timeout".
	r := examineWith(t, "https://no-such-relay.invalid", "", func(o *Options) { o.Step = 2 * time.Second })
	got := expect(t, r, CheckDNS, Fail, `"no-such-relay.invalid"`)
	if got.Facts["error"] == nil {
		t.Errorf("facts %v", got.Facts)
	}
	expect(t, r, CheckTCP4, Skip, "needs dns")
}

// TestOneFamilyMayBeBroken: what matters is whether any address can be reached.
func TestOneFamilyMayBeBroken(t *testing.T) {
	open := func(a string) Attempt { return Attempt{Address: a, DurationMs: 1} }
	broken := func(a, why string) Attempt { return Attempt{Address: a, Error: why} }
	for _, c := range []struct {
		name      string
		check     string
		family    []Attempt
		otherwise bool
		status    Status
		says      string
	}{
		{"IPv6 without a route, IPv4 works", CheckTCP6, []Attempt{broken("[2001:db8::1]:443", "no_route")}, true, Warn, "IPv4 works"},
		{"IPv6 dropped, IPv4 works", CheckTCP6, []Attempt{broken("[2001:db8::1]:443", "timeout")}, true, Warn, "switched off"},
		{"IPv4 broken, IPv6 works", CheckTCP4, []Attempt{broken("192.0.2.1:443", "timeout")}, true, Warn, "other address family works"},
		{"nothing works", CheckTCP4, []Attempt{broken("192.0.2.1:443", "no_route")}, false, Fail, "no route"},
		{"reset", CheckTCP4, []Attempt{broken("192.0.2.1:443", "reset")}, false, Fail, "resets"},
		{"one of two", CheckTCP4, []Attempt{open("192.0.2.1:443"), broken("192.0.2.2:443", "refused")}, true, Warn, "192.0.2.2:443 refused"},
		{"all", CheckTCP4, []Attempt{open("192.0.2.1:443"), open("192.0.2.2:443")}, true, Pass, "192.0.2.2:443"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Result{Name: c.check, Facts: Facts{}}
			judgeFamily(&r, c.family, "the relay", c.otherwise)
			if r.Status != c.status || !strings.Contains(r.Message+r.Remedy, c.says) || (r.Status != Pass) != (r.Remedy != "") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// proxy is an HTTP proxy that lets CONNECT through for those who log in. A real
// one is examined in scripts/e2e.
func proxy(t *testing.T, login string, answer int) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); {
		case r.Method != http.MethodConnect:
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		case answer != 0:
			http.Error(w, "not allowed here", answer)
		case password != login:
			w.Header().Set("Proxy-Authenticate", `Basic realm="corp"`)
			http.Error(w, "log in", http.StatusProxyAuthRequired)
		default:
			pass(w, r)
		}
	}))
}

// pass connects both ways.
func pass(w http.ResponseWriter, r *http.Request) {
	target, err := net.DialTimeout("tcp", r.Host, 5*time.Second)
	if err != nil {
		http.Error(w, "not reached", http.StatusBadGateway)
		return
	}
	defer target.Close()
	w.WriteHeader(http.StatusOK)
	client, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go func() { // ends with the client's connection
		_, _ = io.Copy(target, rest)
		_ = target.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, target)
}

func TestTheWayThroughAProxy(t *testing.T) {
	a := newAuthority(t, "Plant Authority")
	relay := serveTLS(t, &fakeRelay{}, a.issue(t, nil))
	with := func(u, login string) func(*Options) {
		return func(o *Options) { o.Config.Proxy = strings.Replace(u, "http://", "http://"+login, 1) }
	}
	t.Run("open", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with(proxy(t, "", 0), ""))
		for _, name := range []string{CheckTunnelling, CheckTLS, CheckHTTP, CheckWebsocket, CheckRoundTrip} {
			expect(t, r, name, Pass)
		}
		expect(t, r, CheckProxy, Pass, "through the proxy http://127.0.0.1", "configuration")
		expect(t, r, CheckTCP4, Pass, "Connected to the proxy")
	})
	t.Run("the right login", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with(proxy(t, "opensesame", 0), "svc:opensesame@"))
		expect(t, r, CheckWebsocket, Pass)
		if text := r.Text(); strings.Contains(text, "opensesame") {
			t.Errorf("the password is shown:\n%s", text)
		}
	})
	t.Run("no login", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with(proxy(t, "opensesame", 0), ""))
		got := expect(t, r, CheckTunnelling, Fail, "wants a login (407", `Basic realm="corp"`, "proxyUser")
		if got.Facts["fault"] != string(egress.FaultProxyAuth) || got.Facts["reachableDirectly"] != true {
			t.Errorf("facts %v", got.Facts)
		}
		expect(t, r, CheckTLS, Skip, "needs proxy-connect")
	})
	t.Run("a wrong login", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with(proxy(t, "opensesame", 0), "svc:wrong@"))
		expect(t, r, CheckTunnelling, Fail, "refuses the login of the user", "Check the user")
	})
	t.Run("not allowed", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with(proxy(t, "", 403), ""))
		expect(t, r, CheckTunnelling, Fail, "403", "allow CONNECT", "proxy: none")
	})
	t.Run("not there", func(t *testing.T) {
		r := examineWith(t, relay, a.file, with("http://127.0.0.1:1", ""))
		expect(t, r, CheckTCP4, Fail, "refused", "that the proxy runs there")
	})
	t.Run("the relay's name is the proxy's to look up", func(t *testing.T) {
		r := examineWith(t, "https://no-such-relay.invalid", a.file, func(o *Options) {
			with(proxy(t, "", 0), "")(o)
			o.Step = 5 * time.Second
		})
		expect(t, r, CheckDNS, Warn, "Nothing has to be done")
		expect(t, r, CheckTunnelling, Fail, "502")
	})
}
