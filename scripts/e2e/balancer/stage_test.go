//go:build unix

package balancer

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// stage is a balancer, relays behind it, an agent that comes through it, and an
// application at the agent.
type stage struct {
	t        *testing.T
	front    *front
	database string
	token    string
	dir      string
	relays   [2]*relay
	agentID  string
	agent    *testkit.Process
	api      *apiclient.Client // through the balancer
	id       string            // of a connection to the application
}

// relay is one of the relays behind the balancer.
type relay struct {
	name, address string
	peers         string // host:port at which it takes requests of the other one; "": it takes none
	process       *testkit.Process
	log           *testkit.Log // over restarts
	api           *apiclient.Client
}

// newStage brings the first relay up, and an agent; further relays are for the
// test to start. database "" is the first relay's own.
func newStage(t *testing.T, start func(*testing.T, *testkit.Authority, int, [2]string) *front, idle int, database string, app http.Handler, changes ...func(*stage)) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), database: database, token: "sally_e2e" + rand.Text()}
	authority := testkit.NewAuthority(t, s.dir)
	var addresses [2]string
	for i, name := range []string{"a", "b"} {
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
		s.relays[i] = &relay{name: name, address: addresses[i], log: &testkit.Log{},
			api: &apiclient.Client{Base: "http://" + addresses[i], Token: s.token, HTTP: s.client(nil)}}
	}
	for _, change := range changes {
		change(s)
	}
	s.front = start(t, authority, idle, addresses)
	s.api = &apiclient.Client{Base: "https://" + s.front.address, Token: s.token, HTTP: s.client(&tls.Config{RootCAs: authority.Pool})}
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range s.relays {
				t.Logf("relay %s wrote:\n%s", r.name, r.log.Tail(60))
			}
		}
	})
	s.start(s.relays[0])
	if err := s.api.AwaitReady(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	agent, err := s.api.CreateAgent(t.Context(), "Plant 2")
	if err != nil {
		t.Fatal(err)
	}
	s.agentID = agent.ID
	code, err := s.api.EnrolmentCode(t.Context(), s.agentID)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(s.dir, "agent")
	program := filepath.Join(bin, "sallyport-agent")
	direct := []string{"HTTPS_PROXY=", "https_proxy=", "ALL_PROXY=", "all_proxy="}
	enroll := testkit.Start(t, testkit.ProcessOptions{Name: "enroll", Path: program, Env: direct,
		Args: []string{"enroll", "--relay", s.api.Base, "--code", code, "--data", data, "--ca-file", authority.File}})
	if err := enroll.Err(); err != nil {
		t.Fatalf("enroll: %v\n%s", err, enroll.Log())
	}
	s.agent = testkit.Start(t, testkit.ProcessOptions{Name: "agent", Path: program, Env: direct,
		Args: []string{"run", "--data", data, "--ca-file", authority.File}})
	s.awaitTunnels(2)

	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	var saved struct {
		ID string `json:"id"`
	}
	connection := map[string]any{"name": "App", "mode": "on-premise", "agentId": s.agentID, "baseUri": server.URL, "auth": map[string]string{"type": "none"}}
	if err := s.api.Do(t.Context(), "POST", "/api/v1/connections", connection, &saved); err != nil {
		t.Fatal(err)
	}
	s.id = saved.ID
	return s
}

// client makes an HTTP client. It comes from 127.0.0.9, so that it can be told
// from the balancer.
func (s *stage) client(trust *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: trust, DisableCompression: true, MaxIdleConnsPerHost: 16,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// start starts a relay and waits until it is ready.
func (s *stage) start(r *relay) {
	s.t.Helper()
	args := []string{"serve", "--listen", r.address, "--public-url", "https://" + s.front.address,
		"--data", filepath.Join(s.dir, r.name), "--keyset", filepath.Join(s.dir, "keyset.json"),
		"--trusted-proxies", "127.0.0.1", "--drain-delay", "3s", "--log-format", "json"}
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	if r.peers != "" {
		args = append(args, "--peer-listen", r.peers, "--log-level", "debug")
	}
	r.process = testkit.Start(s.t, testkit.ProcessOptions{Name: "relay " + r.name, Path: filepath.Join(bin, "sallyport-relay"), Args: args,
		Log: r.log, Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + s.token}})
	if err := r.api.AwaitReady(within(s.t, patience)); err != nil {
		s.t.Fatal(err)
	}
}

// awaitTunnels waits until the agent has so many tunnels up.
func (s *stage) awaitTunnels(n int) {
	s.t.Helper()
	testkit.Eventually(s.t, patience, fmt.Sprintf("the agent has %d tunnels", n), func() error {
		up, down := len(s.agent.Log().Lines(`"tunnel up"`)), s.downs()
		if up-down != n {
			return fmt.Errorf("%d came up and %d went down", up, down)
		}
		return nil
	})
}

// downs is how many tunnels the agent has lost.
func (s *stage) downs() int { return len(s.agent.Log().Lines(`"tunnel down"`)) }

// request is one for the application, through the balancer.
func (s *stage) request(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	req, err := s.api.Request(within(s.t, patience), method, "/api/v1/connections/"+s.id+"/proxy"+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

// answer is an answer that was read to its end.
type answer struct {
	*http.Response
	body string
}

func (s *stage) send(req *http.Request) answer {
	s.t.Helper()
	a, err := s.try(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *stage) try(req *http.Request) (answer, error) {
	resp, err := s.api.HTTP.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp, string(raw)}, err
}

// loggedClient is what the relay's log calls the client of a request.
func (r *relay) loggedClient(t *testing.T, requestID string) (client string) {
	t.Helper()
	testkit.Eventually(t, patience, "the relay has logged the request", func() error {
		lines := r.log.Lines(`"request"`, requestID)
		if len(lines) != 1 {
			return fmt.Errorf("%d lines", len(lines))
		}
		_, rest, _ := strings.Cut(lines[0], `"client":"`)
		client, _, _ = strings.Cut(rest, `"`)
		return nil
	})
	return client
}

// wait lets time pass in which nothing happens: that is what is tested.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
