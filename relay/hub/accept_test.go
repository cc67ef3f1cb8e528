package hub_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"sallyport/internal/wsconn"
	"sallyport/proto"
	"sallyport/relay/event"
	"sallyport/relay/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roll is a directory with a single instance, agt_1/ins_1.
type roll struct {
	key ed25519.PublicKey
	err error // what a look-up fails with

	mu       sync.Mutex // guards the following
	noted    []string   // by Seen
	lastSeen time.Time
	asked    int  // how often Known was
	revoked  bool // no instance is enrolled any more
	full     bool // nothing is taken by Connected and Disconnected
	refused  int  // how often that was so
	hangs    bool // Known does not answer
	heldBy   string
	presence []string
}

func (r *roll) Enrolled(_ context.Context, agentID, instanceID string) (hub.Enrolled, error) {
	switch {
	case r.err != nil:
		return hub.Enrolled{}, r.err
	case agentID != "agt_1" || instanceID != "ins_1":
		return hub.Enrolled{}, hub.ErrNotEnrolled
	}
	return hub.Enrolled{WorkspaceID: "wsp_1", AgentName: "Plant 2", PublicKey: r.key}, nil
}

func (r *roll) Connected(_ context.Context, _ string, in hub.Instance) error {
	return r.write(in.ID + " came")
}

func (r *roll) Disconnected(_ context.Context, _, instanceID string, _ time.Time, reason string) error {
	return r.write(instanceID + " left: " + reason)
}

// write notes presence, unless the directory takes nothing.
func (r *roll) write(line string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		r.refused++
		return errors.New("the disk is full")
	}
	r.presence = append(r.presence, line)
	return nil
}

func (r *roll) Seen(_ context.Context, workspaceID string, instanceIDs []string, at time.Time) (ended []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted = append(r.noted, workspaceID+"/"+strings.Join(instanceIDs, "+"))
	r.lastSeen = at
	if r.revoked {
		ended = instanceIDs
	}
	return ended, nil
}

func (r *roll) Explained(context.Context, string, string, proto.OfflineReport) error { return nil }

func (r *roll) Known(ctx context.Context, agentID string) (hub.Known, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.hangs {
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return hub.Known{}, ctx.Err()
	}
	if agentID != "agt_1" || r.revoked {
		return hub.Known{}, hub.ErrNotEnrolled
	}
	return hub.Known{Name: "Plant 2", LastSeenAt: r.lastSeen, HeldBy: r.heldBy}, nil
}

// stand is a hub behind an HTTP server, and the key of the one instance.
type stand struct {
	hub    *hub.Hub
	server *httptest.Server
	roll   *roll
	key    ed25519.PrivateKey

	registry *prometheus.Registry // where no test has put another in its place
}

func newStand(t *testing.T, change func(*hub.Options)) *stand {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{roll: &roll{key: public}, key: private, registry: prometheus.NewRegistry()}
	opts := hub.Options{
		Directory: s.roll, Events: &event.Bus{}, Log: zaptest.NewLogger(t), RelayID: "rly_1",
		Registerer: s.registry, StepTimeout: 2 * time.Second,
	}
	if change != nil {
		change(&opts)
	}
	s.hub = hub.New(opts)
	s.server = httptest.NewServer(s.hub)
	t.Cleanup(func() {
		if err := s.hub.Close(); err != nil {
			t.Error(err)
		}
		s.server.Close()
	})
	return s
}

func (s *stand) host() string { return s.server.Listener.Addr().String() }

func (s *stand) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{proto.Subprotocol}}
	ws, _, err := dialer.Dial("ws://"+s.host(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func (s *stand) hello() *proto.Hello {
	return &proto.Hello{
		AgentID: "agt_1", InstanceID: "ins_1", Run: "run1", Version: "1", OS: "linux", Arch: "amd64",
		Hostname: "erp", RelayHost: s.host(), Time: time.Now(),
	}
}

func write(t *testing.T, ws *websocket.Conn, raw []byte) {
	t.Helper()
	if err := wsconn.WriteText(ws, raw, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func read(t *testing.T, ws *websocket.Conn) []byte {
	t.Helper()
	raw, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, time.Now().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// shake plays an agent's handshake and returns how it ended.
func (s *stand) shake(t *testing.T, ws *websocket.Conn, hello *proto.Hello) error {
	t.Helper()
	helloRaw := encode(t, hello)
	write(t, ws, helloRaw)
	challenge := read(t, ws)
	if _, err := proto.Expect[*proto.Challenge](challenge); err != nil {
		return err
	}
	write(t, ws, encode(t, &proto.Proof{Signature: proto.Sign(s.key, helloRaw, challenge)}))
	_, err := proto.Expect[*proto.Welcome](read(t, ws))
	return err
}

func wantRefusal(t *testing.T, err error, code proto.Refusal) {
	t.Helper()
	var refused *proto.Refused
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestHandshakeWelcomesWhoIsEnrolled(t *testing.T) {
	s := newStand(t, nil)
	if err := s.shake(t, s.dial(t), s.hello()); err != nil {
		t.Fatal(err)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "relay.example"}
	for _, c := range []struct {
		name    string
		options func(*hub.Options)
		prepare func(*stand)
		hello   func(*proto.Hello)
		want    proto.Refusal
	}{
		{"unknown instance", nil, nil, func(h *proto.Hello) { h.InstanceID = "ins_2" }, proto.RefusedUnknown},
		{"another's key", nil, func(s *stand) { s.roll.key = make([]byte, 32) }, nil, proto.RefusedProof},
		{"directory out of order", nil, func(s *stand) { s.roll.err = errors.New("disk full") }, nil, proto.RefusedBusy},
		{"one tunnel too many", nil, nil, func(h *proto.Hello) { h.Slot = 4 }, proto.RefusedTunnels},
		{"dialled another name", nil, nil, func(h *proto.Hello) { h.RelayHost = "evil.example" }, proto.RefusedHost},
		{"dialled another name than the public one", func(o *hub.Options) { o.PublicURL = public }, nil,
			func(h *proto.Hello) { h.RelayHost = "evil.example:443" }, proto.RefusedHost},
		{"dialled another port", func(o *hub.Options) { o.PublicURL = public }, nil,
			func(h *proto.Hello) { h.RelayHost = "relay.example:8443" }, proto.RefusedHost},
		{"dialled the public name", func(o *hub.Options) { o.PublicURL = public }, nil,
			func(h *proto.Hello) { h.RelayHost = "RELAY.example:443" }, ""},
		{"within one machine", func(o *hub.Options) { o.PublicURL = public }, nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.options)
			if c.prepare != nil {
				c.prepare(s)
			}
			hello := s.hello()
			if c.hello != nil {
				c.hello(hello)
			}
			err := s.shake(t, s.dial(t), hello)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, c.want)
		})
	}
}

// TestReplayedProofIsRefused: what was overheard once opens nothing.
func TestReplayedProofIsRefused(t *testing.T) {
	s := newStand(t, nil)
	hello := encode(t, s.hello())
	first := s.dial(t)
	write(t, first, hello)
	proof := encode(t, &proto.Proof{Signature: proto.Sign(s.key, hello, read(t, first))})
	write(t, first, proof)
	if _, err := proto.Expect[*proto.Welcome](read(t, first)); err != nil {
		t.Fatal(err)
	}
	again := s.dial(t)
	write(t, again, hello)
	read(t, again)
	write(t, again, proof)
	_, err := proto.Expect[*proto.Welcome](read(t, again))
	wantRefusal(t, err, proto.RefusedProof)
}

func TestWhatIsNoHandshakeIsRefused(t *testing.T) {
	s := newStand(t, nil)
	for _, raw := range []string{`{}`, `{"type":"proof","signature":""}`, `{"type":"hello"}`, "GET /"} {
		ws := s.dial(t)
		write(t, ws, []byte(raw))
		_, err := proto.Expect[*proto.Challenge](read(t, ws))
		wantRefusal(t, err, proto.RefusedMessage)
	}
	ws := s.dial(t)
	write(t, ws, encode(t, s.hello()))
	read(t, ws)
	write(t, ws, []byte(`{"type":"proof"}`))
	_, err := proto.Expect[*proto.Welcome](read(t, ws))
	wantRefusal(t, err, proto.RefusedMessage)

	tooLong := s.dial(t)
	write(t, tooLong, []byte(strings.Repeat(" ", proto.MaxHandshakeMessage+1)))
	if _, err := wsconn.ReadText(tooLong, 1024, time.Now().Add(5*time.Second)); err == nil {
		t.Error("an endless message was answered")
	}
}

func TestSilentVisitorIsShownOut(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.StepTimeout = 50 * time.Millisecond })
	ws := s.dial(t)
	_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, _, err := ws.NextReader(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}

func TestDoorForAgentsOnly(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.MaxHandshakes = 1 })
	resp, err := http.Get(s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(body), proto.Subprotocol) {
		t.Errorf("%s %s", resp.Status, body)
	}
	status := func(header http.Header, protocols ...string) int {
		ws, resp, err := (&websocket.Dialer{Subprotocols: protocols}).Dial("ws://"+s.host(), header)
		if err == nil {
			_ = ws.Close()
		}
		return resp.StatusCode
	}
	if got := status(nil, "sallyport.v9"); got != http.StatusUpgradeRequired {
		t.Errorf("another version: %d", got)
	}
	if got := status(http.Header{"Origin": {"https://evil.example"}}, proto.Subprotocol); got != http.StatusForbidden {
		t.Errorf("a browser: %d", got)
	}
	s.dial(t) // says nothing, and takes the only place
	if got := status(nil, proto.Subprotocol); got != http.StatusServiceUnavailable {
		t.Errorf("too many at once: %d", got)
	}
	if err := s.hub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status(nil, proto.Subprotocol); got != http.StatusServiceUnavailable {
		t.Errorf("while draining: %d", got)
	}
}

// TestMessageThatIsNoControlMessageEndsTheTunnel: who sends one does not speak
// this protocol.
func TestMessageThatIsNoControlMessageEndsTheTunnel(t *testing.T) {
	s := newStand(t, nil)
	ws := s.dial(t)
	if err := s.shake(t, ws, s.hello()); err != nil {
		t.Fatal(err)
	}
	write(t, ws, []byte(`{"type":"fromTheFuture"}`)) // is passed over
	write(t, ws, []byte(`{"type":"drain","withinMs":-1}`))
	_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		_, _, err := ws.NextReader()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the tunnel lives on")
		}
		if err != nil {
			return
		}
	}
}

// TestControlMessageMayComeWithTheProof: nothing keeps an agent from sending one
// before the relay has made a tunnel of the connection.
func TestControlMessageMayComeWithTheProof(t *testing.T) {
	s := newStand(t, nil)
	for range 20 {
		ws := s.dial(t)
		hello := encode(t, s.hello())
		write(t, ws, hello)
		challenge := read(t, ws)
		write(t, ws, encode(t, &proto.Proof{Signature: proto.Sign(s.key, hello, challenge)}))
		write(t, ws, []byte(`{"type":"rest","n":1}`))
		if _, err := proto.Expect[*proto.Welcome](read(t, ws)); err != nil {
			t.Fatal(err)
		}
		s.awaitTunnels(t, 1)
		_ = ws.Close()
		s.awaitTunnels(t, 0)
	}
}

// TestCloseEndsHandshakes: nobody who merely dawdles may hold up the stop.
func TestCloseEndsHandshakes(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.StepTimeout = time.Hour })
	var dawdling sync.WaitGroup
	for range 3 {
		ws := s.dial(t)
		dawdling.Go(func() { _, _, _ = ws.NextReader() })
	}
	done := make(chan struct{})
	go func() { _ = s.hub.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close hangs")
	}
	dawdling.Wait()
}

func TestMetricsTellOfTunnels(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newStand(t, func(o *hub.Options) { o.Registerer = registry })
	ws := s.dial(t)
	if err := s.shake(t, ws, s.hello()); err != nil {
		t.Fatal(err)
	}
	write(t, ws, []byte(`{"type":"fromTheFuture"}`))
	if _, err := s.hub.Road("agt_9").RoundTrip(httptest.NewRequest("GET", "http://erp/", nil)); err == nil {
		t.Fatal("an unknown agent answered")
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				values[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		if values["sallyport_tunnels"] == 1 && values["sallyport_agents_online"] == 1 && values["sallyport_tunnel_received_bytes_total"] > 0 &&
			values["sallyport_tunnel_request_duration_seconds"] == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v", values)
		}
	}
}
