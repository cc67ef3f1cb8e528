package testkit

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Site is a company's network as Sallyport meets it: a network namespace whose
// firewall drops everything that comes in and is not an answer to something
// that went out. One cable (a veth pair) leads out of it.
type Site struct {
	Name    string     // of the network namespace
	Inside  netip.Addr // the site's own address on the cable; unreachable from outside
	Outside netip.Addr // the other end, in the namespace of the test: where a relay can listen
	inner   string     // the interface inside
	outer   string     // and outside
}

// sitePrefix begins the names of our namespaces; the process id of the test
// follows, so that what a killed test has left behind can be told from what
// another test still uses.
const sitePrefix = "sally-"

var sites atomic.Int32

// given are the addresses that sites of this process have, or are about to.
var given struct {
	sync.Mutex
	outside map[netip.Addr]bool
}

// NewSite makes a site for the length of the test. It needs root on Linux with
// ip and iptables, and skips the test by name where those are absent.
func NewSite(t testing.TB) *Site {
	t.Helper()
	Root(t)
	Program(t, "ip")
	Program(t, "iptables")
	removeAbandoned(t)

	outside, inside := freePair(t)
	id := fmt.Sprintf("%d-%d", os.Getpid(), sites.Add(1))
	s := &Site{Name: sitePrefix + id, Inside: inside, Outside: outside, inner: "eth0"}
	s.outer = "sy" + id // an interface name has at most 15 characters
	outer := s.outer

	t.Cleanup(func() {
		// Deleting one end of the cable deletes the other.
		_ = exec.Command("ip", "link", "del", outer).Run()
		_ = exec.Command("ip", "netns", "del", s.Name).Run()
		_ = os.RemoveAll(filepath.Join("/etc/netns", s.Name))
	})
	must(t, "ip", "netns", "add", s.Name)
	must(t, "ip", "link", "add", outer, "type", "veth", "peer", "name", s.inner, "netns", s.Name)
	must(t, "ip", "addr", "add", outside.String()+"/30", "dev", outer)
	must(t, "ip", "link", "set", outer, "up")
	s.must(t, "ip", "addr", "add", inside.String()+"/30", "dev", s.inner)
	s.must(t, "ip", "link", "set", s.inner, "up")
	s.must(t, "ip", "link", "set", "lo", "up")
	s.must(t, "iptables", "-w", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
	s.must(t, "iptables", "-w", "-A", "INPUT", "-m", "state", "--state", "ESTABLISHED,RELATED", "-j", "ACCEPT")
	s.must(t, "iptables", "-w", "-P", "INPUT", "DROP")
	s.must(t, "iptables", "-w", "-P", "FORWARD", "DROP")

	// Programs inside ask the site's own name server (see ServeDNS).
	if err := os.MkdirAll(filepath.Join("/etc/netns", s.Name), 0o755); err != nil {
		t.Fatal(err)
	}
	resolv := filepath.Join("/etc/netns", s.Name, "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// Listen opens a TCP port inside the site, served by the test itself.
func (s *Site) Listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	err := enterNamespace(s.Name, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatalf("listen on %s inside %s: %v", address, s.Name, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Dial reports whether a TCP connection can be made from inside the site.
func (s *Site) Dial(address string) error {
	return enterNamespace(s.Name, func() error {
		// By address only: a name would be looked up on another thread.
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// Unplug takes the site's cable out, or puts it back.
func (s *Site) Unplug(t testing.TB, out bool) {
	t.Helper()
	state := "up"
	if out {
		state = "down"
	}
	s.must(t, "ip", "link", "set", s.inner, state)
}

// Move takes the site's address away and gives it another, as when a machine
// changes its network: what is connected stays connected to nobody. Outside
// stays, and can be reached from the new address.
func (s *Site) Move(t testing.TB) {
	t.Helper()
	gateway, inside := freePair(t)
	s.must(t, "ip", "addr", "flush", "dev", s.inner, "scope", "global")
	must(t, "ip", "addr", "add", gateway.String()+"/30", "dev", s.outer)
	s.must(t, "ip", "addr", "add", inside.String()+"/30", "dev", s.inner)
	s.must(t, "ip", "route", "add", s.Outside.String()+"/32", "via", gateway.String())
	s.Inside = inside
}

// command is how a program is run inside the site.
func (s *Site) command(path string, args []string) (string, []string) {
	return "ip", append([]string{"netns", "exec", s.Name, path}, args...)
}

// must runs a program inside the site.
func (s *Site) must(t testing.TB, path string, args ...string) {
	t.Helper()
	path, args = s.command(path, args)
	must(t, path, args...)
}

func must(t testing.TB, path string, args ...string) {
	t.Helper()
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", path, strings.Join(args, " "), err, out)
	}
}

// freePair finds two neighbouring addresses of 10.213.0.0/16 that no interface
// of this machine has, and no other site has been given.
func freePair(t testing.TB) (outside, inside netip.Addr) {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	taken, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	first := uint32(os.Getpid())*7 + uint32(sites.Load())
next:
	for i := range uint32(1 << 14) {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 10<<24|213<<16|(first+i)%(1<<14)<<2)
		outside = netip.AddrFrom4(ip).Next()
		inside = outside.Next()
		if given.outside[outside] {
			continue
		}
		for _, a := range taken {
			if n, ok := a.(*net.IPNet); ok && n.Contains(outside.AsSlice()) {
				continue next
			}
		}
		if given.outside == nil {
			given.outside = make(map[netip.Addr]bool)
		}
		given.outside[outside] = true
		return outside, inside
	}
	t.Fatal("no free addresses in 10.213.0.0/16")
	return
}

// removeAbandoned deletes the namespaces of tests that were killed before they
// could clean up.
func removeAbandoned(t testing.TB) {
	t.Helper()
	found, err := filepath.Glob("/run/netns/" + sitePrefix + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, sitePrefix), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			// Its end of the cable goes with the namespace.
			_ = exec.Command("ip", "netns", "del", name).Run()
			_ = os.RemoveAll(filepath.Join("/etc/netns", name))
		}
	}
}
