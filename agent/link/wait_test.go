package link_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
)

// TestWaitingEndsWhereTheMachineWokeOrMoved: the wait would be minutes long.
func TestWaitingEndsWhereTheMachineWokeOrMoved(t *testing.T) {
	t.Parallel()
	address := func(text string) *net.IPNet {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: network.Mask}
	}
	for _, c := range []struct {
		name   string
		change func(slept, home *atomic.Int64)
		dials  bool
	}{
		{"it was asleep", func(slept, _ *atomic.Int64) { slept.Store(int64(time.Hour)) }, true},
		{"it has another address", func(_, home *atomic.Int64) { home.Store(1) }, true},
		{"its clock was set back", func(slept, _ *atomic.Int64) { slept.Store(-int64(time.Hour)) }, false},
		{"only a link-local address is new", func(_, home *atomic.Int64) { home.Store(2) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var slept, home atomic.Int64
			nowhere, err := testkit.NewForwarder("127.0.0.1:0", "127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			defer nowhere.Close()
			nowhere.Refuse(true)
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			var looked atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			l := link.New(link.Options{
				Relay: &url.URL{Scheme: "http", Host: nowhere.Addr()}, Tunnels: 1,
				Identity: link.Identity{AgentID: "agt_1", InstanceID: "ins_1", Key: key},
				Machine:  link.Machine{Hostname: "erp", OS: "linux", Arch: "amd64", Version: "1"},
				Serve:    func(context.Context, net.Conn) {}, Log: zaptest.NewLogger(t),
				RetryFirst: 1000 * time.Hour, RetryLimit: 1000 * time.Hour,
				Clock: func() time.Time { return time.Now().Add(time.Duration(slept.Load())) },
				Addresses: func() ([]net.Addr, error) {
					defer looked.Add(1)
					addresses := []net.Addr{address("127.0.0.1/8"), address("192.0.2.7/24")}
					switch home.Load() {
					case 1:
						addresses[1] = address("198.51.100.9/24")
					case 2:
						addresses = append(addresses, address("fe80::1/64"))
					}
					return addresses, nil
				},
			})
			var running sync.WaitGroup
			running.Go(func() { _ = l.Run(ctx) })
			defer running.Wait()
			defer cancel()
			await := func(what string, done func() bool) {
				testkit.Eventually(t, 20*time.Second, what, func() error {
					if !done() {
						return fmt.Errorf("%d dials, looked %d times", nowhere.Accepted(), looked.Load())
					}
					return nil
				})
			}
			await("the first attempt fails", func() bool { return looked.Load() > 0 })
			c.change(&slept, &home)
			if !c.dials {
				before := looked.Load()
				await("it looks twice", func() bool { return looked.Load() >= before+2 })
				if n := nowhere.Accepted(); n != 1 {
					t.Errorf("%d dials", n)
				}
				return
			}
			await("another attempt", func() bool { return nowhere.Accepted() == 2 })
		})
	}
}
