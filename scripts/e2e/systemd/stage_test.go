package systemd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// stage is a relay outside, and a machine on which nothing is installed yet
// inside a site.
type stage struct {
	t         *testing.T
	api       *apiclient.Client
	authority *testkit.Authority
	machine   *machine
	agentID   string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	testkit.Root(t)
	for _, program := range []string{"systemd-nspawn", "nsenter"} {
		testkit.Program(t, program)
	}
	tree(t)
	site := testkit.NewSite(t)
	dir := t.TempDir()
	s := &stage{t: t, authority: testkit.NewAuthority(t, dir)}
	listener, err := net.Listen("tcp", net.JoinHostPort(site.Outside.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cert, key := s.authority.Issue(t, dir, "relay", site.Outside.String())
	token := "sally_e2e" + rand.Text()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool}}
	t.Cleanup(transport.CloseIdleConnections)
	s.api = &apiclient.Client{Base: "https://" + address, Token: token, HTTP: &http.Client{Transport: transport}}
	testkit.Start(t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"), Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + token},
		Args: []string{"serve", "--listen", address, "--public-url", s.api.Base, "--tls-cert", cert, "--tls-key", key,
			"--data", filepath.Join(dir, "relay"), "--downloads", filepath.Join(bin, "dist", "downloads")},
	})
	ready, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := s.api.AwaitReady(ready); err != nil {
		t.Fatal(err)
	}
	s.agentID = s.agent(t, "Plant 2 ERP")
	s.machine = newMachine(t, site)
	return s
}

// step is a part of the test on which the later ones build.
func (s *stage) step(name string, do func(t *testing.T)) {
	s.t.Helper()
	if s.t.Failed() {
		s.t.Logf("not tried: %s", name)
		return
	}
	s.t.Run(name, func(t *testing.T) {
		start := time.Now()
		defer func() {
			t.Logf("took %v", time.Since(start).Round(100*time.Millisecond))
			if t.Failed() && s.machine.leader != "" {
				log, _ := s.machine.run("journalctl", "--no-pager", "--lines", "60", "--unit", "sallyport-agent*")
				t.Logf("the machine's journal:\n%s", log)
			}
		}()
		do(t)
	})
}

func (s *stage) agent(t *testing.T, name string) string {
	t.Helper()
	agent, err := s.api.CreateAgent(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return agent.ID
}

func (s *stage) code(t *testing.T, agentID string) string {
	t.Helper()
	code, err := s.api.EnrolmentCode(t.Context(), agentID)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (s *stage) awaitOnline(t *testing.T, agentID string) {
	t.Helper()
	s.await(t, agentID, "online")
}

func (s *stage) await(t *testing.T, agentID, status string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := s.api.AwaitAgent(ctx, agentID, status); err != nil {
		t.Fatal(err)
	}
}

// enrolled is a machine as the relay knows it.
type enrolled struct{ ID, Version string }

// instance is the one machine of an agent.
func (s *stage) instance(t *testing.T, agentID string) enrolled {
	t.Helper()
	a, err := s.api.Agent(t.Context(), agentID)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Instances) != 1 {
		t.Fatalf("%d machines: %+v", len(a.Instances), a.Instances)
	}
	return enrolled{a.Instances[0].ID, a.Instances[0].Version}
}

// awaitGone waits until no machine is enrolled under an agent.
func (s *stage) awaitGone(t *testing.T, agentID string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "no machine is left at the relay", func() error {
		a, err := s.api.Agent(t.Context(), agentID)
		if err == nil && len(a.Instances) > 0 {
			err = fmt.Errorf("there is %+v", a.Instances)
		}
		return err
	})
}
