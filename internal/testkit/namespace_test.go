package testkit_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

func TestSiteLetsOutButNotIn(t *testing.T) {
	site := testkit.NewSite(t)

	inside := site.Listen(t, "0.0.0.0:7070")
	if c, err := net.DialTimeout("tcp", net.JoinHostPort(site.Inside.String(), "7070"), 300*time.Millisecond); err == nil {
		c.Close()
		t.Error("a connection from outside came through the firewall")
	} else if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Errorf("dialling in failed with %v, want a time-out: the firewall drops", err)
	}
	_ = inside

	outside, err := net.Listen("tcp", net.JoinHostPort(site.Outside.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	go func() {
		if c, err := outside.Accept(); err == nil {
			_, _ = io.WriteString(c, "welcome")
			c.Close()
		}
	}()
	host, port, _ := net.SplitHostPort(outside.Addr().String())
	out, err := exec.Command("ip", "netns", "exec", site.Name, "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port+"; cat <&3").CombinedOutput()
	if err != nil || string(out) != "welcome" {
		t.Errorf("dialling out: %v, %q", err, out)
	}
}

func TestSiteAnswersNames(t *testing.T) {
	site := testkit.NewSite(t)
	site.ServeDNS(t, [4]byte{127, 0, 0, 1}, "erp.plant2.internal")
	lookUp := func(name string) string {
		out, err := exec.Command("ip", "netns", "exec", site.Name, "getent", "ahostsv4", name).CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	if got := lookUp("erp.plant2.internal"); !strings.HasPrefix(got, "127.0.0.1 ") {
		t.Errorf("a known name: %q", got)
	}
	if got := lookUp("erp.plant3.internal"); got != "exit status 2" {
		t.Errorf("an unknown name: %q, want exit status 2 (not found)", got)
	}
}
