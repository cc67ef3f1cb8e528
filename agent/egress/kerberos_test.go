//go:build !windows

package egress

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKDCThatDoesNotAnswer: where a firewall drops what is sent to the KDC, the
// next scheme must still get through, and at once from then on.
func TestKDCThatDoesNotAnswer(t *testing.T) {
	t.Parallel() // it waits for 5 s
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			serving.Go(func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			})
		}
	})
	defer serving.Wait()
	defer listener.Close()
	conf := filepath.Join(t.TempDir(), "krb5.conf")
	text := fmt.Sprintf("[libdefaults]\ndefault_realm = PLANT.TEST\ndns_lookup_kdc = false\n[realms]\nPLANT.TEST = {\n  kdc = %s\n}\n", listener.Addr())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startScripted(t, wants+"Negotiate, Basic realm=x", "200 OK", wants+"Negotiate, Basic realm=x", "200 OK")
	e, err := New(Options{Proxy: "http://" + p.address, User: "svc", PasswordFile: secret(t, "s3cret"), Env: func(name string) (string, bool) {
		return conf, name == "KRB5_CONFIG"
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		conn, err := e.Dial(t.Context(), &url.URL{Scheme: "https", Host: "relay.test"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the KDC was asked %d times", n)
	}
	if left := time.Until(time.Unix(0, e.slowKDC.Load())); left < slowPause/2 {
		t.Errorf("it is asked again in %s", left)
	}
	const ntlm = "Negotiate TlRMTVNTUAAB" // which most take in place of a ticket
	if log := p.log(); len(log) != 4 || !strings.HasSuffix(log[0], " ") || !strings.Contains(log[1], ntlm) || !strings.Contains(log[3], ntlm) {
		t.Errorf("asked %q", log)
	}
}
