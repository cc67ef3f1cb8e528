package e2e

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// diagnosis is what `doctor --json` prints.
type diagnosis struct {
	OK     bool
	Checks []struct {
		Name, Status, Message, Remedy string
		Facts                         map[string]any
	}
	text string
}

// expect fails the test where a check did not end like this, or does not say
// what it should.
func (d diagnosis) expect(t *testing.T, name, status string, says ...string) {
	t.Helper()
	for _, c := range slices.Backward(d.Checks) {
		if c.Name != name {
			continue
		}
		if c.Status != status {
			t.Errorf("%s: %s, want %s: %s", name, c.Status, status, c.Message)
		}
		for _, text := range says {
			if !strings.Contains(c.Message+" "+c.Remedy, text) {
				t.Errorf("%s does not say %q: %s %s", name, text, c.Message, c.Remedy)
			}
		}
		return
	}
	t.Errorf("no check %q in %s", name, d.text)
}

// doctor runs the agent's doctor inside the site.
func (s *stage) doctor(t *testing.T, args ...string) diagnosis {
	t.Helper()
	p := testkit.Start(t, testkit.ProcessOptions{
		Name: "doctor", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site,
		Args: append([]string{"doctor", "--json", "--proxy", "none"}, args...),
	})
	failed := p.Err() != nil
	d := diagnosis{text: p.Log().String()}
	if err := json.Unmarshal([]byte(d.text), &d); err != nil {
		t.Fatalf("%v: %s", err, d.text)
	}
	if failed == d.OK {
		t.Errorf("ok is %v, and the exit status says otherwise", d.OK)
	}
	return d
}

// TestDoctorInsideACompany runs doctor behind a real firewall, before and after
// enrolment.
func TestDoctorInsideACompany(t *testing.T) {
	s := newStage(t, "")
	s.site.ServeDNS(t, [4]byte(s.site.Outside.AsSlice()), "relay.test")
	trust := []string{"--ca-file", s.authority.File}
	fresh := append([]string{"--relay", s.api.Base}, trust...)
	enrolled := []string{"--data", s.agentData} // trusts whom the enrolment trusted
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.api.Base, "https://"))

	t.Run("before enrolment, all the way", func(t *testing.T) {
		d := s.doctor(t, append(fresh, "--idle", "2s")...)
		for _, name := range []string{"configuration", "proxy", "dns", "tcp-ipv4", "tls", "http", "clock", "websocket", "round-trip", "idle"} {
			d.expect(t, name, "pass")
		}
		d.expect(t, "enrolment", "skip")
	})

	t.Run("after it, beside the agent, and its tunnels stay", func(t *testing.T) {
		base := s.startSample(8090)
		before := len(s.agentLog.Lines("tunnel down"))
		d := s.doctor(t, append(enrolled, "--target", base, "--target", "http://127.0.0.1:9")...)
		d.expect(t, "enrolment", "pass", "Plant 2")
		d.expect(t, "agent", "pass", "online", "2 tunnels")
		d.expect(t, "websocket", "pass")
		d.expect(t, "target", "fail", "refused") // the last of two
		if c := d.Checks[len(d.Checks)-2]; c.Name != "target" || c.Status != "pass" {
			t.Errorf("the sample application: %+v", c)
		}
		if d.OK {
			t.Error("passed with a target that is not there")
		}
		if after := s.agentLog.Lines("tunnel down"); len(after) != before {
			t.Errorf("doctor took a tunnel: %v", after)
		}
	})

	t.Run("a name, and who resolves it", func(t *testing.T) {
		d := s.doctor(t, append([]string{"--relay", "https://relay.test:" + port}, trust...)...)
		d.expect(t, "dns", "pass", "relay.test is "+s.site.Outside.String()+", says 127.0.0.1")
		d.expect(t, "tls", "fail", "for another host", s.site.Outside.String())
		d = s.doctor(t, "--relay", "https://unknown.test")
		d.expect(t, "dns", "fail", `knows no address for "unknown.test"`)
	})

	t.Run("an authority that is not trusted", func(t *testing.T) {
		d := s.doctor(t, "--relay", s.api.Base)
		d.expect(t, "tls", "fail", "Plant 2 Test Authority", "--ca-file")
		d.expect(t, "websocket", "skip", "needs tls")
	})

	t.Run("a firewall that drops, and one that rejects", func(t *testing.T) {
		for target, says := range map[string]string{"DROP": "packets seem to be dropped", "REJECT": "refused"} {
			rule := []string{"netns", "exec", s.site.Name, "iptables", "-w", "-I", "OUTPUT", "-p", "tcp", "--dport", port, "-j", target}
			must(t, rule...)
			d := s.doctor(t, fresh...)
			rule[5] = "-D"
			must(t, rule...)
			d.expect(t, "tcp-ipv4", "fail", says, "--firewall-request")
			d.expect(t, "tls", "skip", "needs tcp-ipv4")
		}
	})

	t.Run("an unplugged cable", func(t *testing.T) {
		s.site.Unplug(t, true)
		d := s.doctor(t, enrolled...)
		s.site.Unplug(t, false)
		d.expect(t, "tcp-ipv4", "fail", "no route")
	})

	t.Run("a bundle holds no secret of a machine that runs", func(t *testing.T) {
		s.awaitAgent(t, "online")
		s.bundleHoldsNoSecret(t, enrolled)
	})

	t.Run("a relay that is not there", func(t *testing.T) {
		s.relay.MustStop(t)
		d := s.doctor(t, enrolled...)
		d.expect(t, "tcp-ipv4", "fail", "refused")
		testkit.Eventually(t, 30*time.Second, "the agent knows that it is offline", func() error {
			for _, c := range s.doctor(t, enrolled...).Checks {
				if c.Name == "agent" && c.Status != "fail" {
					return fmt.Errorf("agent: %s: %s", c.Status, c.Message)
				}
			}
			return nil
		})
	})
}

// bundleHoldsNoSecret looks into every file of a bundle for what only this
// machine may know.
func (s *stage) bundleHoldsNoSecret(t *testing.T, args []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.zip")
	p := testkit.Start(t, testkit.ProcessOptions{
		Name: "doctor", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site,
		Args: append([]string{"doctor", "--bundle", path}, args...), Env: []string{"HTTPS_PROXY=http://svc:opensesame@proxy.test:3128", "NO_PROXY=*"},
	})
	if err := p.Err(); err != nil {
		t.Fatalf("%v: %s", err, p.Log())
	}
	secrets := []string{"opensesame", s.token}
	for file, key := range map[string]string{"identity.json": "privateKey", "control.json": "token"} {
		text, err := os.ReadFile(filepath.Join(s.agentData, file))
		var fields map[string]any
		if err == nil {
			err = json.Unmarshal(text, &fields)
		}
		secret, _ := fields[key].(string)
		if err != nil || secret == "" {
			t.Fatalf("%s: %v", file, err)
		}
		secrets = append(secrets, secret)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds a secret", f.Name)
			}
		}
		if f.Name == "status.json" && !strings.Contains(string(text), `"state": "online"`) {
			t.Errorf("%s: %s", f.Name, text)
		}
	}
	for _, want := range []string{"report.txt", "report.json", "status.json", "firewall-request.txt", "environment.txt", "network.txt", "resolv.conf", "system.txt"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}
