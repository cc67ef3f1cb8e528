// Package tunnel tests both ends of a tunnel together: a real hub, real links,
// the real forwarder and transport, over real sockets. It lives here since no
// room of the relay may import one of the agent, not even to test.
package tunnel

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"sallyport/agent/egress"
	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/event"
	"sallyport/relay/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take that should take a moment.
const patience = 10 * time.Second

// directory is the relay's list of who is enrolled, kept in memory.
type directory struct {
	mu       sync.Mutex
	enrolled map[string]hub.Enrolled // by agent and instance
	history  []string
	lastSeen time.Time                        // of any machine
	lookedUp func(agentID, instanceID string) // called after each answer; may be nil
	hangs    bool                             // Known does not answer
}

func (d *directory) Enrolled(_ context.Context, agentID, instanceID string) (hub.Enrolled, error) {
	d.mu.Lock()
	e, ok := d.enrolled[agentID+"/"+instanceID]
	lookedUp := d.lookedUp
	d.mu.Unlock()
	if lookedUp != nil {
		lookedUp(agentID, instanceID)
	}
	if !ok {
		return hub.Enrolled{}, hub.ErrNotEnrolled
	}
	return e, nil
}

func (d *directory) Connected(_ context.Context, agentID string, in hub.Instance) error {
	d.note("connected " + agentID + "/" + in.ID)
	return nil
}

func (d *directory) Disconnected(_ context.Context, agentID, instanceID string, at time.Time, reason string) error {
	d.mu.Lock()
	d.lastSeen = at
	d.mu.Unlock()
	d.note("disconnected " + agentID + "/" + instanceID + ": " + reason)
	return nil
}

func (d *directory) Seen(_ context.Context, _ string, _ []string, at time.Time) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastSeen = at
	return nil, nil
}

func (d *directory) Explained(_ context.Context, agentID, instanceID string, r proto.OfflineReport) error {
	d.note("explained " + agentID + "/" + instanceID + ": " + string(r.Cause))
	return nil
}

func (d *directory) Known(ctx context.Context, agentID string) (hub.Known, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hangs {
		d.mu.Unlock()
		<-ctx.Done()
		d.mu.Lock()
		return hub.Known{}, ctx.Err()
	}
	for key, e := range d.enrolled {
		if strings.HasPrefix(key, agentID+"/") {
			return hub.Known{Name: e.AgentName, LastSeenAt: d.lastSeen}, nil
		}
	}
	return hub.Known{}, hub.ErrNotEnrolled
}

func (d *directory) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history = append(d.history, line)
}

func (d *directory) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.history...)
}

func (d *directory) enrol(agentID, instanceID string) ed25519.PrivateKey {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enrolled[agentID+"/"+instanceID] = hub.Enrolled{WorkspaceID: "wsp_1", AgentName: "Plant 2", PublicKey: public}
	return private
}

func (d *directory) revoke(agentID, instanceID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.enrolled, agentID+"/"+instanceID)
}

// relay is a hub behind a real HTTP server, with a forwarder in front of it
// that can be a bad network.
type relay struct {
	t         *testing.T
	dir       *directory
	events    *event.Bus
	hub       *hub.Hub
	server    *httptest.Server
	net       *testkit.Forwarder
	heartbeat time.Duration
	clock     func() time.Time // nil: the machine's
	knocked   func()           // called for each agent that dials; may be nil
	log       *zap.Logger
	change    func(*hub.Options) // of the next relay; may be nil
	peering   *peering           // nil: it knows no other relays
}

func newRelay(t *testing.T, secure bool) *relay {
	t.Helper()
	return newRelayWith(t, secure, func(*relay) {})
}

// newRelayWith makes a relay, of which much can be changed before it starts.
func newRelayWith(t *testing.T, secure bool, prepare func(*relay)) *relay {
	t.Helper()
	r := &relay{
		t: t, dir: &directory{enrolled: map[string]hub.Enrolled{}}, events: &event.Bus{},
		heartbeat: 2 * time.Second, // a starved test machine is not a dead tunnel
		log:       zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)).Named("relay"),
	}
	prepare(r)
	r.start("127.0.0.1:0", secure)
	forwarder, err := testkit.NewForwarder("127.0.0.1:0", r.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r.net = forwarder
	t.Cleanup(func() {
		r.stop()
		forwarder.Close()
	})
	return r
}

func (r *relay) start(address string, secure bool) {
	r.t.Helper()
	opts := hub.Options{Directory: r.dir, Events: r.events, Log: r.log, RelayID: "rly_1", Heartbeat: r.heartbeat, Clock: r.clock}
	if r.change != nil {
		r.change(&opts)
	}
	if r.peering != nil {
		r.peering.join(r, &opts)
	}
	r.hub = hub.New(opts)
	if r.peering != nil {
		r.peering.serve(r)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(proto.TunnelPath, func(w http.ResponseWriter, req *http.Request) {
		if r.knocked != nil {
			r.knocked()
		}
		r.hub.ServeHTTP(w, req)
	})
	r.server = httptest.NewUnstartedServer(mux)
	if address != "127.0.0.1:0" {
		_ = r.server.Listener.Close()
		listener, err := net.Listen("tcp", address)
		if err != nil {
			r.t.Fatal(err)
		}
		r.server.Listener = listener
	}
	if secure {
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
}

func (r *relay) stop() {
	if r.peering != nil {
		r.peering.leave(r)
	}
	if err := r.hub.Close(); err != nil {
		r.t.Error(err)
	}
	r.server.Close()
}

// restart stops the relay and starts another at the same address.
func (r *relay) restart(between func()) {
	address := r.server.Listener.Addr().String()
	r.stop()
	between()
	r.start(address, false)
}

// site is a machine on the premises that runs an agent.
type site struct {
	link *link.Link
	stop func()
}

// agent runs a link to the relay, through its network; change may alter the
// options. It is stopped with the test, at the latest.
func (r *relay) agent(key ed25519.PrivateKey, serve func(context.Context, net.Conn), change func(*link.Options)) *site {
	r.t.Helper()
	u, err := url.Parse("http://" + r.net.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	opts := link.Options{
		Relay:      u,
		Identity:   link.Identity{AgentID: "agt_1", InstanceID: "ins_1", Key: key},
		Machine:    link.Machine{Hostname: "erp-01", OS: "linux", Arch: "amd64", Version: "1.0.0"},
		Serve:      serve,
		Log:        zaptest.NewLogger(r.t, zaptest.Level(zap.InfoLevel)).Named("agent"),
		Egress:     &egress.Egress{}, // directly, to this machine itself
		RetryFirst: 50 * time.Millisecond, RetryLimit: 200 * time.Millisecond,
	}
	if change != nil {
		change(&opts)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := link.New(opts)
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("Run: %v", err)
			}
		case <-time.After(30 * time.Second):
			r.t.Error("the link did not stop")
		}
	})
	r.t.Cleanup(stop)
	return &site{link: l, stop: stop}
}

// enrolled runs an agent that forwards for real, and waits until both of its
// tunnels are up.
func (r *relay) enrolled() *site {
	r.t.Helper()
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(r.t), nil)
	r.awaitTunnels(2)
	return s
}

// forwarding serves streams as the agent's program does.
func forwarding(t *testing.T) func(context.Context, net.Conn) {
	transport := outbound.New(outbound.Options{})
	t.Cleanup(transport.Close)
	return forward.New(forward.Options{Transport: transport}).Serve
}

func (r *relay) awaitTunnels(n int) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, fmt.Sprintf("%d tunnels are up", n), func() error {
		have := 0
		for _, in := range r.hub.Instances("agt_1") {
			have += in.Tunnels
		}
		if have != n {
			return fmt.Errorf("%d are", have)
		}
		return nil
	})
}

// send sends a request through the agent.
func (r *relay) send(ctx context.Context, method, target string, body io.Reader) (*http.Response, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.hub.Road("agt_1").RoundTrip(req)
}

// target starts an application.
func target(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// mustRead reads an answer to its end.
func mustRead(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return string(raw)
}

// wantError checks an error's code and outcome.
func wantError(t *testing.T, err error, code proto.Code, outcome proto.Outcome) *proto.Error {
	t.Helper()
	e := proto.AsError(err)
	if e == nil {
		t.Fatalf("got %v, want a *proto.Error", err)
	}
	if e.Code != code || e.Outcome != outcome {
		t.Fatalf("got %s, outcome %q (%v), want %s, outcome %q", e, e.Outcome, e.Err, code, outcome)
	}
	return e
}

// trusting is a way out that trusts the test server's certificate.
func trusting(t *testing.T, server *httptest.Server) *egress.Egress {
	t.Helper()
	file := filepath.Join(t.TempDir(), "authority.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := egress.New(egress.Options{CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func has(lines []string, part string) error {
	for _, line := range lines {
		if strings.Contains(line, part) {
			return nil
		}
	}
	return errors.New("none of " + strings.Join(lines, " | "))
}
