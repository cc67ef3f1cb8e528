package egress

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
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

// relay is a relay on the internet: under a name that, inside the company, only
// its proxies know, and with a certificate of an authority of its own.
type relay struct {
	host      string // with the port, as agents dial it
	address   string // where it really listens
	authority *testkit.Authority
	api       *apiclient.Client
}

// startRelay starts a relay that answers to the given name.
func startRelay(t *testing.T, name string) *relay {
	t.Helper()
	dir := t.TempDir()
	port := testkit.FreePort(t)
	r := &relay{
		host: fmt.Sprintf("%s:%d", name, port), address: fmt.Sprintf("127.0.0.1:%d", port),
		authority: testkit.NewAuthority(t, dir),
	}
	cert, key := r.authority.Issue(t, dir, "relay", name)
	token := "sally_e2e" + rand.Text()
	testkit.Start(t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"),
		Args: []string{"serve", "--listen", r.address, "--public-url", "https://" + r.host,
			"--tls-cert", cert, "--tls-key", key, "--data", filepath.Join(dir, "relay")},
		Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + token},
	})
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.authority.Pool},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	r.api = &apiclient.Client{Base: "https://" + r.host, Token: token, HTTP: &http.Client{Transport: transport}}
	if err := r.api.AwaitReady(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	return r
}

// company is a site whose agent reaches the relay by some proxy.
type company struct {
	relay   *relay
	agentID string
	data    string
	args    []string // of every command of the agent
	env     []string
}

// company enrols nothing yet. args are the agent's, env its environment.
func (r *relay) company(t *testing.T, args, env []string) *company {
	t.Helper()
	agent, err := r.api.CreateAgent(t.Context(), "Plant of "+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "agent")
	// What the machine that runs the test has set is not the company's.
	none := []string{"HTTPS_PROXY=", "https_proxy=", "HTTP_PROXY=", "http_proxy=", "ALL_PROXY=", "all_proxy=", "NO_PROXY=", "no_proxy="}
	return &company{relay: r, agentID: agent.ID, data: data, args: append([]string{"--data", data}, args...), env: append(none, env...)}
}

// agent runs a command of the agent.
func (c *company) agent(t *testing.T, command string, more ...string) *testkit.Process {
	t.Helper()
	return testkit.Start(t, testkit.ProcessOptions{
		Name: command, Path: filepath.Join(bin, "sallyport-agent"), Args: append(append([]string{command}, more...), c.args...), Env: c.env,
	})
}

// enroll enrols the company's machine, and returns what was said where that
// fails.
func (c *company) enroll(t *testing.T) (said string, err error) {
	t.Helper()
	code, err := c.relay.api.EnrolmentCode(t.Context(), c.agentID)
	if err != nil {
		t.Fatal(err)
	}
	enroll := c.agent(t, "enroll", "--relay", "https://"+c.relay.host, "--code", code)
	err = enroll.Err()
	return enroll.Log().String(), err
}

// serves enrols and runs the company's agent, waits until it is online, and
// sends a request through it to an application inside.
func (c *company) serves(t *testing.T) {
	t.Helper()
	if said, err := c.enroll(t); err != nil {
		t.Fatalf("enroll: %v: %s", err, said)
	}
	agent := c.agent(t, "run")
	api := c.relay.api
	if err := api.AwaitAgent(within(t, patience), c.agentID, "online"); err != nil {
		t.Fatal(err)
	}
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "inside: %s", body)
	}))
	defer inside.Close()
	var saved struct {
		ID string `json:"id"`
	}
	err := api.Do(t.Context(), "POST", "/api/v1/connections", map[string]any{
		"name": t.Name(), "mode": "on-premise", "agentId": c.agentID, "baseUri": inside.URL, "auth": map[string]string{"type": "none"},
	}, &saved)
	if err != nil {
		t.Fatal(err)
	}
	// Longer than what an inspecting proxy passes on in one piece.
	sent := strings.Repeat("all the way and back. ", 20_000)
	req, err := api.Request(within(t, patience), "POST", "/api/v1/connections/"+saved.ID+"/proxy/", strings.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != "inside: "+sent {
		t.Fatalf("%s, %d bytes, %v", resp.Status, len(body), err)
	}
	agent.MustStop(t)
	if strings.Contains(agent.Log().String(), password) {
		t.Error("the agent's log holds the password")
	}
}

// lastError runs the agent until it has failed to reach the relay, and returns
// what its status says of that.
func (c *company) lastError(t *testing.T) string {
	t.Helper()
	agent := c.agent(t, "run")
	defer agent.MustStop(t)
	var status struct {
		State     string `json:"state"`
		LastError string `json:"lastError"`
	}
	testkit.Eventually(t, patience, "the agent says why it is offline", func() error {
		ask := testkit.Start(t, testkit.ProcessOptions{
			Name: "status", Path: filepath.Join(bin, "sallyport-agent"), Args: []string{"status", "--json", "--data", c.data},
		})
		_ = ask.Err() // 1 while it is offline
		err := json.Unmarshal([]byte(ask.Log().String()), &status)
		if err == nil && status.LastError == "" {
			err = fmt.Errorf("it is %s", status.State)
		}
		return err
	})
	return status.LastError
}

// within is a context that ends with the test, or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// patience is how long a busy machine may take for what is quick otherwise.
const patience = 60 * time.Second

// listening waits until a program takes connections.
func listening(t *testing.T, what, address string) {
	t.Helper()
	testkit.Eventually(t, patience, what+" listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}
