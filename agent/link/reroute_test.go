package link_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"sallyport/agent/egress"
	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
	"sallyport/proto"
)

// welcoming is a relay that welcomes everybody and sends no request, played by
// the test.
type welcoming struct {
	*httptest.Server
	tunnels chan *welcomed
	work    sync.WaitGroup
}

// welcomed is the relay's end of a tunnel.
type welcomed struct {
	ws    *websocket.Conn
	said  chan proto.Control // what the agent says
	ended chan struct{}
}

func newWelcoming(t *testing.T) *welcoming {
	t.Helper()
	r := &welcoming{tunnels: make(chan *welcomed, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, err := (&websocket.Upgrader{Subprotocols: []string{proto.Subprotocol}}).Upgrade(w, req, nil)
		if err != nil {
			return
		}
		r.work.Go(func() { r.welcome(ws) })
	}))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
		r.work.Wait()
	})
	return r
}

func (r *welcoming) welcome(ws *websocket.Conn) {
	defer ws.Close()
	until := time.Now().Add(10 * time.Second)
	say := func(m proto.Message) bool {
		raw, err := proto.Encode(m)
		return err == nil && wsconn.WriteText(ws, raw, until) == nil
	}
	if _, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, until); err != nil || !say(&proto.Challenge{Nonce: make([]byte, proto.NonceSize), RelayID: "rly_1"}) {
		return
	}
	if _, err := wsconn.ReadText(ws, proto.MaxHandshakeMessage, until); err != nil ||
		!say(&proto.Welcome{TunnelID: "tun", AgentName: "Plant 2", HeartbeatMs: 60_000, MaxStreams: 10}) {
		return
	}
	t := &welcomed{ws: ws, said: make(chan proto.Control, 100), ended: make(chan struct{})}
	defer close(t.ended)
	r.tunnels <- t
	_ = ws.SetReadDeadline(time.Time{})
	for {
		kind, raw, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage {
			if m, err := proto.DecodeControl(raw); err == nil && m != nil {
				t.said <- m
			}
		}
	}
}

// next waits for the next tunnel.
func (r *welcoming) next(t *testing.T) *welcomed {
	t.Helper()
	select {
	case w := <-r.tunnels:
		return w
	case <-time.After(20 * time.Second):
		t.Fatal("no tunnel comes")
		return nil
	}
}

func (w *welcomed) drain(t *testing.T, within time.Duration) {
	t.Helper()
	raw, err := proto.EncodeControl(&proto.Drain{WithinMs: int(within.Milliseconds()), Reason: "the relay is about to stop"})
	if err != nil {
		t.Fatal(err)
	}
	if err := wsconn.WriteText(w.ws, raw, time.Now().Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// hold runs a link of one tunnel to the relay.
func (r *welcoming) hold(t *testing.T, change func(*link.Options)) *link.Link {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := link.Options{
		Relay: u, Identity: link.Identity{AgentID: "agt_1", InstanceID: "ins_1", Key: key}, Tunnels: 1,
		Machine: link.Machine{Hostname: "erp", OS: "linux", Arch: "amd64", Version: "1"},
		Serve:   func(context.Context, net.Conn) {}, Log: zaptest.NewLogger(t), Egress: way(t, egress.ProxyNone),
		RetryFirst: 10 * time.Millisecond, StopTimeout: time.Millisecond,
	}
	if change != nil {
		change(&opts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := link.New(opts)
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return l
}

// TestTunnelThatEndsBeforeItIsReplacedIsMissed: the relay has asked for another
// one within the hour, and is gone before.
func TestTunnelThatEndsBeforeItIsReplacedIsMissed(t *testing.T) {
	t.Parallel()
	r := newWelcoming(t)
	told := make(chan error, 100)
	core, lines := observer.New(zap.InfoLevel)
	r.hold(t, func(o *link.Options) {
		o.Changed, o.Log = func(err error) { told <- err }, zap.New(core)
	})
	first := r.next(t)
	if err := soon(t, told); err != nil {
		t.Fatal(err)
	}
	first.drain(t, time.Hour)
	testkit.Eventually(t, 10*time.Second, "the agent waits before it dials", func() error {
		if lines.FilterMessage("tunnel is to be replaced").Len() == 0 {
			return fmt.Errorf("%v", lines.All())
		}
		return nil
	})
	_ = first.ws.Close()
	if err := soon(t, told); err == nil {
		t.Error("it is not told that the tunnel is gone")
	}
	r.next(t)
	if err := soon(t, told); err != nil {
		t.Error(err)
	}
}

// TestReroutedTunnelIsReplacedByOneThatIsOpen: by the new way, and only then is
// the old one given up.
func TestReroutedTunnelIsReplacedByOneThatIsOpen(t *testing.T) {
	t.Parallel()
	r := newWelcoming(t)
	told := make(chan error, 100)
	l := r.hold(t, func(o *link.Options) { o.Changed = func(err error) { told <- err } })
	first := r.next(t)
	_ = soon(t, told) // that it is online

	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nowhere.Addr().String()
	_ = nowhere.Close()
	l.Reroute(way(t, "http://"+address))
	// It is told that the attempt has failed, and that the relay is reached all the same.
	if st, err := l.Status(), soon(t, told); err != nil || st.State != link.StateOnline || len(st.Tunnels) != 1 {
		t.Errorf("%v, %+v", err, st)
	}
	select {
	case <-first.ended:
		t.Fatal("the tunnel is given up before there is another")
	default:
	}

	proxy, asked := connectProxy(t)
	l.Reroute(way(t, "http://svc:s3cret@"+proxy))
	second := r.next(t)
	if len(*asked) == 0 {
		t.Error("it did not come by the new way")
	}
	for {
		var said proto.Control
		select {
		case said = <-first.said:
		case <-time.After(10 * time.Second):
			t.Fatal("the old tunnel is not given up")
		}
		if d, ok := said.(*proto.Drain); ok {
			if !d.Replaced {
				t.Errorf("%+v", d)
			}
			break
		}
	}
	select {
	case <-second.ended:
		t.Error("the new tunnel has ended")
	default:
	}
	online(t, l)
}

// soon is what an agent is told next.
func soon(t *testing.T, told <-chan error) error {
	t.Helper()
	select {
	case err := <-told:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is told")
		return nil
	}
}

func online(t *testing.T, l *link.Link) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, "the agent is online", func() error {
		if st := l.Status(); st.State != link.StateOnline {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}
