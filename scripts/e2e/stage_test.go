package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// stage is Sallyport as a company uses it: a relay outside, an agent inside a
// site whose firewall lets nothing in.
type stage struct {
	t         *testing.T // of the whole test: processes live until it ends, not only until its subtest does
	site      *testkit.Site
	api       *apiclient.Client
	agentID   string
	token     string
	authority *testkit.Authority

	relay, agent, sample *testkit.Process
	relayLog, agentLog   *testkit.Log

	relayArgs []string
	agentData string
}

// newStage brings a relay and an agent up. database is the relay's, "" for
// SQLite.
func newStage(t *testing.T, database string) *stage {
	t.Helper()
	site := testkit.NewSite(t)
	return newStageAt(t, site, site.Outside.String(), database)
}

// newStageAt has the relay at an address of this machine, and the agent in the
// site, or beside the relay where there is none.
func newStageAt(t *testing.T, site *testkit.Site, host, database string) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{
		t:         t,
		site:      site,
		token:     "sally_e2e" + rand.Text(),
		authority: testkit.NewAuthority(t, dir),
		relayLog:  &testkit.Log{}, agentLog: &testkit.Log{},
		agentData: filepath.Join(dir, "agent"),
	}
	address := net.JoinHostPort(host, fmt.Sprint(freePortAt(t, host)))
	cert, key := s.authority.Issue(t, dir, "relay", host)
	s.relayArgs = []string{"serve", "--listen", address, "--public-url", "https://" + address,
		"--tls-cert", cert, "--tls-key", key, "--data", filepath.Join(dir, "relay"),
		"--allow-private-targets", "loopback", "--log-level", "debug", "--log-format", "json"}
	if database != "" {
		s.relayArgs = append(s.relayArgs, "--database", database)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool}, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	s.api = &apiclient.Client{Base: "https://" + address, Token: s.token, HTTP: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the relay wrote:\n%s", s.relayLog.Tail(80))
			t.Logf("the agent wrote:\n%s", s.agentLog.Tail(80))
		}
	})

	s.startRelay()
	agent, err := s.api.CreateAgent(t.Context(), "Plant 2")
	if err != nil {
		t.Fatal(err)
	}
	s.agentID = agent.ID
	code, err := s.api.EnrolmentCode(t.Context(), s.agentID)
	if err != nil {
		t.Fatal(err)
	}
	enroll := testkit.Start(t, testkit.ProcessOptions{
		Name: "enroll", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site,
		Args: []string{"enroll", "--relay", s.api.Base, "--code", code, "--data", s.agentData, "--ca-file", s.authority.File},
	})
	if err := enroll.Err(); err != nil {
		t.Fatalf("enroll: %v", err)
	}
	s.startAgent()
	return s
}

// startRelay starts the relay and waits until it is ready. Over a restart its
// log goes on.
func (s *stage) startRelay() {
	s.t.Helper()
	s.relay = testkit.Start(s.t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"), Args: s.relayArgs, Log: s.relayLog,
		Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + s.token},
	})
	if err := s.api.AwaitReady(within(s.t, 30*time.Second)); err != nil {
		s.t.Fatal(err)
	}
}

// startAgent starts the agent inside the site and waits until it is online.
func (s *stage) startAgent() {
	s.t.Helper()
	s.agent = testkit.Start(s.t, testkit.ProcessOptions{
		Name: "agent", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site, Log: s.agentLog,
		Args: []string{"run", "--data", s.agentData, "--ca-file", s.authority.File,
			"--target-ca-file", s.authority.File, "--log-level", "debug", "--log-format", "json"},
	})
	s.awaitAgent(s.t, "online")
}

func (s *stage) awaitAgent(t *testing.T, status string) {
	t.Helper()
	if err := s.api.AwaitAgent(within(t, 60*time.Second), s.agentID, status); err != nil {
		t.Fatal(err)
	}
}

// relayData is the relay's data directory.
func (s *stage) relayData() string {
	return s.relayArgs[slices.Index(s.relayArgs, "--data")+1]
}

// killRelay ends the relay without giving it a chance to say goodbye.
func (s *stage) killRelay(t *testing.T) {
	t.Helper()
	if err := s.relay.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.relay.Done()
}

// startSample starts the sample application inside the site and returns its
// base URI.
func (s *stage) startSample(port int) string {
	t := s.t
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s.sample = testkit.Start(t, testkit.ProcessOptions{
		Name: "sampleapp", Path: filepath.Join(bin, "dev", "sampleapp"), Site: s.site,
		Args: []string{"--listen", address}, Env: []string{"WAREHOUSE_PASSWORD=" + samplePassword},
	})
	testkit.Eventually(t, 20*time.Second, "the sample application is up", func() error {
		if len(s.sample.Log().Lines("listening")) == 0 {
			return fmt.Errorf("it says %q", s.sample.Log())
		}
		return nil
	})
	return "http://" + address + "/api"
}

// samplePassword would break the JSON of the sign-in if it were not escaped.
const samplePassword = `w"are\house-` + "\u00e9"

// sampleConnection is a connection to the sample application.
func (s *stage) sampleConnection(baseURI string) object {
	return object{
		"name": "Warehouse", "mode": "on-premise", "agentId": s.agentID, "baseUri": baseURI,
		"auth": object{"type": "cookie", "cookie": object{
			"method": "POST", "uri": "/session", "body": `{"user":"svc","password":"{{secret.password}}"}`}},
		"ping":    object{"uri": "/me", "successPath": "ok", "successValues": []string{"true"}},
		"secrets": object{"password": samplePassword},
	}
}

// within is a context that ends with the test, or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func freePortAt(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
