package signin

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// object is a JSON object as a client writes it.
type object map[string]any

// stage is a relay, and an agent inside a site that lets nothing in.
type stage struct {
	t       *testing.T // of the whole test
	site    *testkit.Site
	api     *apiclient.Client
	agentID string
	data    string // the relay's
}

// newStage brings both up. Applications are loopback's: those of this machine
// for cloud mode, those of the site on-premise.
func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, site: testkit.NewSite(t), data: filepath.Join(dir, "relay")}
	token := "sally_e2e" + rand.Text()
	address := freeAddress(t, s.site.Outside)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	s.api = &apiclient.Client{Base: "http://" + address, Token: token, HTTP: &http.Client{Transport: transport}}
	log := &testkit.Log{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("relay and agent wrote:\n%s", log.Tail(80))
		}
	})
	testkit.Start(t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(bin, "sallyport-relay"), Log: log, Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + token},
		Args: []string{"serve", "--listen", address, "--public-url", s.api.Base, "--data", s.data,
			"--allow-private-targets", "loopback", "--log-level", "debug", "--log-format", "json"},
	})
	if err := s.api.AwaitReady(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	agent, err := s.api.CreateAgent(t.Context(), "Plant 2")
	if err != nil {
		t.Fatal(err)
	}
	s.agentID = agent.ID
	code, err := s.api.EnrolmentCode(t.Context(), agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "agent")
	enroll := testkit.Start(t, testkit.ProcessOptions{
		Name: "enroll", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site,
		Args: []string{"enroll", "--relay", s.api.Base, "--allow-plaintext-relay", "--code", code, "--data", data},
	})
	if err := enroll.Err(); err != nil {
		t.Fatalf("enroll: %v", err)
	}
	keepSecrets(t, data)
	testkit.Start(t, testkit.ProcessOptions{
		Name: "agent", Path: filepath.Join(bin, "sallyport-agent"), Site: s.site, Log: log,
		Args: []string{"run", "--data", data, "--allow-plaintext-relay", "--log-level", "debug", "--log-format", "json"},
	})
	if err := s.api.AwaitAgent(within(t, 60*time.Second), agent.ID, "online"); err != nil {
		t.Fatal(err)
	}
	return s
}

// keepSecrets gives the agent the passwords that never leave its site.
func keepSecrets(t *testing.T, data string) {
	t.Helper()
	config := "secrets:\n"
	for name, value := range map[string]string{"password": passwordOfServers, "client": serviceSecret} {
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("  %s: {file: %q, hosts: [127.0.0.1]}\n", name, path)
	}
	if err := os.WriteFile(filepath.Join(data, "agent.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T, host netip.Addr) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// in is a connection in one of the two modes.
func (s *stage) in(mode string, c object) object {
	with := object{"name": fmt.Sprint("App ", mode), "mode": mode, "health": object{"off": true}} // tests count requests
	if mode == "on-premise" {
		with["agentId"] = s.agentID
	}
	for k, v := range c {
		with[k] = v
	}
	return with
}

// modes runs a test from the cloud and on-premise.
func modes(t *testing.T, run func(t *testing.T, mode string)) {
	for _, mode := range []string{"cloud", "on-premise"} {
		t.Run(mode, func(t *testing.T) { run(t, mode) })
	}
}

// testResult is the answer to a test of a connection.
type testResult struct {
	OK    bool
	Steps []struct {
		Name, Status, Code, Message, Hint, HintID string
		Fix                                       *struct{ Field, Value string }
		Request, Response                         *struct{ Body string }
	}
}

// test tests a connection that is not saved, or, by its id, one that is.
func (s *stage) test(t *testing.T, connection any) testResult {
	t.Helper()
	path, body := "/api/v1/connections/test", connection
	if id, saved := connection.(string); saved {
		path, body = "/api/v1/connections/"+id+"/test", nil
	}
	var r testResult
	if err := s.api.Do(within(t, time.Minute), "POST", path, body, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// save saves a connection and returns its id.
func (s *stage) save(t *testing.T, connection object) string {
	t.Helper()
	var c struct{ ID string }
	if err := s.api.Do(within(t, time.Minute), "POST", "/api/v1/connections", connection, &c); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// send sends a request through a saved connection: the status, the code of an
// error of our own, and the body.
func (s *stage) send(t *testing.T, id, method, path, contentType string, body io.Reader) (int, string, string) {
	t.Helper()
	r, err := s.api.Request(within(t, time.Minute), method, "/api/v1/connections/"+id+"/proxy"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := s.api.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Sallyport-Error"), string(b)
}

// tab is a browser whose person is signed in to the relay.
func (s *stage) tab(t *testing.T) *testkit.Tab {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "sallyport-relay"), "user", "link", "--data", s.data, "--public-url", s.api.Base).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := regexp.MustCompile(`/sign-in/link/\S+`).FindString(string(out))
	tb := testkit.NewTab(t, s.api.Base, 2*time.Minute)
	tb.Look(1280, "light")
	tb.Open(path)
	tb.Press("main button")
	tb.WaitFor(`location.pathname === "/connections"`)
	return tb
}

// within is a context that ends with the test, or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
