package mux_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
)

// slowLine is an end of a line on which so many bytes a second arrive.
type slowLine struct {
	net.Conn
	rate int
}

func (l *slowLine) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p[:min(len(p), 1<<10)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(l.rate))
	return n, err
}

// heartbeat is that of a tunnel in real life.
const heartbeat = 4 * time.Second

// onSlowLine connects an agent's session and a relay's, as package link and
// package hub make them, over a line of so many bytes a second each way. It is
// for a bubble, whose time it takes.
func onSlowLine(t *testing.T, rate int) (agent, relay *mux.Session, cut func()) {
	t.Helper()
	near, far := net.Pipe()
	accepted := make(chan *websocket.Conn, 1)
	go func() {
		in := bufio.NewReader(far)
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Error(err)
		}
		upgrader := websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
		ws, err := upgrader.Upgrade(&hijacked{conn: &slowLine{far, rate}}, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- ws
	}()
	dialer := websocket.Dialer{WriteBufferSize: wsconn.MaxMessage, WriteBufferPool: &wsconn.WriteBuffers{},
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return &slowLine{near, rate}, nil }}
	ws, _, err := dialer.Dial("ws://relay/", nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := wsconn.Options{IdleTimeout: 2*heartbeat + time.Second}
	agentConn, relayConn := wsconn.New(ws, opts), wsconn.New(<-accepted, opts)
	relay = mux.Server(relayConn, mux.Options{RTT: time.Second, Log: zap.NewNop()})
	if agent, err = mux.Client(agentConn, mux.Options{RTT: time.Second, Log: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	go func() { // as the hub and the link do
		ticker := time.NewTicker(heartbeat / 2)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-agent.Ended():
				return
			case <-ticker.C:
			}
			agentConn.SignOfLife()
			if n%2 == 0 {
				relayConn.Ping()
			}
		}
	}()
	return agent, relay, func() { _ = near.Close() }
}

// hijacked is a ResponseWriter whose connection is taken over.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacked) Header() http.Header { return http.Header{} }
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// TestAllStreamsMayShareAVerySlowLine: on 64 kbit/s each waits for its turn
// behind all the others, for a quarter of an hour, and no deadline of the
// websocket's or of yamux's ends the tunnel meanwhile.
//
// What is sent is read once all of it has come: a reader that waited for the
// mutex of yamux's, which is held while a frame arrives, would stop the bubble's
// time.
func TestAllStreamsMayShareAVerySlowLine(t *testing.T) {
	emptyPools() // yamux keeps timers, and one may not go from bubble to bubble
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		const rate = 64_000 / 8
		agent, relay, cut := onSlowLine(t, rate)
		var agents, relays []*mux.Stream
		for range mux.MaxStreams {
			stream, err := relay.OpenStreamContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			relays = append(relays, stream)
			if stream, err = agent.AcceptStream(); err != nil {
				t.Fatal(err)
			}
			agents = append(agents, stream)
		}
		transfer(t, "down", relays, agents)
		transfer(t, "up", agents, relays)
		if relay.IsClosed() || agent.IsClosed() {
			t.Error("the tunnel has ended")
		}
		cut() // who closes in order waits with a mutex
		<-relay.Ended()
		<-agent.Ended()
		_, _ = relay.Close(), agent.Close()
	})
}

// emptyPools empties every sync.Pool: what a pool holds survives one collection.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// transfer has all streams send at once.
func transfer(t *testing.T, way string, from, to []*mux.Stream) {
	t.Helper()
	const size = 2 * mux.Chunk
	began := time.Now()
	var sending sync.WaitGroup
	for _, stream := range from {
		sending.Go(func() {
			if _, err := stream.Write(make([]byte, size)); err != nil {
				t.Errorf("%s: write, after %s: %v", way, time.Since(began), err)
			}
		})
	}
	sending.Wait()
	t.Logf("%s: sent after %s", way, time.Since(began))
	if time.Since(began) < 20*time.Minute {
		t.Errorf("%s: it took only %s, so that no deadline mattered", way, time.Since(began))
	}
	time.Sleep(time.Minute) // until the last of it has come
	for _, stream := range to {
		if n, err := io.CopyN(io.Discard, stream, size); err != nil {
			t.Errorf("%s: read %d bytes: %v", way, n, err)
			return
		}
	}
}
