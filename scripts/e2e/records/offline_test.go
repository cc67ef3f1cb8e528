//go:build unix

package records

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// TestWhyItWasOfflineIsKnownAfterwards, by what really happened to it.
func TestWhyItWasOfflineIsKnownAfterwards(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startAgent()

	s.end(syscall.SIGTERM)
	s.await("offline")
	s.startAgent()
	s.explained("stopped", "terminated")

	s.end(syscall.SIGKILL)
	s.await("offline")
	s.startAgent()
	crashed := s.explained("crashed", "killed")
	if since := time.Since(crashed.At); since > 10*time.Minute {
		t.Errorf("it crashed %v ago", since)
	}

	// The relay is away for a while, and can't have seen it.
	if err := s.relay.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.relay.Done()
	testkit.Eventually(t, patience, "the agent has met a closed port", func() error {
		if len(s.log.Lines("relay not reached", "refused the connection")) == 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	s.startRelay()
	s.await("online")
	s.explained("relay_unreachable", "refused the connection")
	if said := s.command("status"); !strings.Contains(said, "\nEarlier ") { // its exit status is 0: it is online
		t.Errorf("status does not say what went wrong last:\n%s", said)
	}
}

// TestProxyThatWantsALoginIsNamedAfterwards: the company's proxy changes under a
// running agent.
func TestProxyThatWantsALoginIsNamedAfterwards(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	u, err := url.Parse(s.api.Base)
	if err != nil {
		t.Fatal(err)
	}
	rules := []string{"acl relay port " + u.Port(), "acl CONNECT method CONNECT"}
	open := testkit.StartSquid(t, testkit.SquidOptions{Config: append(rules, "http_access allow CONNECT relay")})
	locked := testkit.StartSquid(t, testkit.SquidOptions{Config: append([]string{
		"auth_param basic program " + testkit.SquidHelper(t, "basic_fake_auth"), "acl known proxy_auth REQUIRED"}, append(rules, "http_access allow CONNECT relay known")...)})
	proxy := newSwitch(t, open.Address)
	s.startAgent("--proxy", "http://"+proxy.Addr())
	proxy.to(locked.Address)
	testkit.Eventually(t, patience, "the agent has met the login", func() error {
		if len(s.log.Lines("relay not reached", "407")) == 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	proxy.to(open.Address)
	s.await("online")
	s.explained("proxy_auth", "407")
}

// junction is an address behind which now one server stands, now another.
type junction struct {
	net.Listener
	work sync.WaitGroup

	mu     sync.Mutex // guards the following
	target string
	open   map[net.Conn]bool
}

func newSwitch(t *testing.T, target string) *junction {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	j := &junction{Listener: l, target: target, open: map[net.Conn]bool{}}
	j.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			j.work.Go(func() { j.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		j.to("")
		j.work.Wait()
	})
	return j
}

func (j *junction) Addr() string { return j.Listener.Addr().String() }

// to leads elsewhere from now on, and cuts what is open.
func (j *junction) to(target string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.target = target
	for conn := range j.open {
		_ = conn.Close()
	}
}

func (j *junction) serve(near net.Conn) {
	defer near.Close()
	j.mu.Lock()
	target := j.target
	j.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	j.mu.Lock()
	changed := j.target != target
	j.open[near], j.open[far] = true, true
	j.mu.Unlock()
	if !changed {
		var back sync.WaitGroup
		back.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() })
		_, _ = io.Copy(far, near)
		_ = far.Close()
		back.Wait()
	}
	j.mu.Lock()
	delete(j.open, near)
	delete(j.open, far)
	j.mu.Unlock()
}
