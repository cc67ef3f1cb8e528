package mux_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"sallyport/internal/mux"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sessions(t testing.TB, rtt time.Duration, onEnd ...func()) (client, server *mux.Session) {
	t.Helper()
	opts := mux.Options{RTT: rtt}
	for _, told := range onEnd {
		opts.OnEnd = told
	}
	return sessionsWith(t, opts)
}

// sessionsWith connects two sessions, of which the relay's has the options.
func sessionsWith(t testing.TB, opts mux.Options) (client, server *mux.Session) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	upgrader := websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- ws
	}))
	t.Cleanup(relay.Close)
	dialer := websocket.Dialer{WriteBufferSize: wsconn.MaxMessage, WriteBufferPool: &wsconn.WriteBuffers{}}
	ws, _, err := dialer.Dial("ws"+relay.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	opts.Log = zaptest.NewLogger(t)
	if client, err = mux.Client(wsconn.New(ws, wsconn.Options{}), mux.Options{RTT: opts.RTT, Log: opts.Log}); err != nil {
		t.Fatal(err)
	}
	server = mux.Server(wsconn.New(<-accepted, wsconn.Options{}), opts)
	t.Cleanup(func() {
		var closing sync.WaitGroup
		closing.Go(func() { _ = client.Close() })
		closing.Go(func() { _ = server.Close() })
		closing.Wait()
	})
	return client, server
}

func TestWindowFollowsTheRoundTrip(t *testing.T) {
	for _, c := range []struct {
		rtt  time.Duration
		want uint32
	}{
		{0, 32 << 20}, {100 * time.Microsecond, 1 << 20}, {time.Millisecond, 1 << 20}, {5 * time.Millisecond, 2 << 20},
		{20 * time.Millisecond, 8 << 20}, {80 * time.Millisecond, 32 << 20}, {time.Second, 32 << 20},
	} {
		if got := mux.Window(c.rtt); got != c.want {
			t.Errorf("%s: %d KiB, want %d", c.rtt, got>>10, c.want>>10)
		}
	}
}

// TestStreamsCarryAllBytes, those that look like a frame's header included.
func TestStreamsCarryAllBytes(t *testing.T) {
	client, server := sessions(t, time.Millisecond)
	tricky := []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9}
	big := make([]byte, 3<<20)
	_, _ = rand.Read(big)
	for _, payload := range [][]byte{tricky, {1}, big, tricky} {
		sender, err := server.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := sender.Write(payload); err != nil {
				t.Error(err)
			}
			_ = sender.Close()
		}()
		receiver, err := client.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(receiver)
		if err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%d of %d bytes, %v", len(got), len(payload), err)
		}
		_ = receiver.Close()
	}
}

func TestAbortWakesReaderAndWriter(t *testing.T) {
	client, server := sessions(t, time.Millisecond)
	stream, err := server.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AcceptStream(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { _, err := io.Copy(io.Discard, stream); ended <- err }()
	go func() { _, err := io.Copy(stream, endless{}); ended <- err }()
	stream.Abort()
	for range 2 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("no error")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("still waiting")
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestLongAnswerSurvivesASlowReader: the agent has closed its half, the relay
// has not yet read what came.
func TestLongAnswerSurvivesASlowReader(t *testing.T) {
	client, server := sessions(t, time.Millisecond)
	stream, err := server.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	answering, err := client.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answering.Write(make([]byte, 200<<10)); err != nil {
		t.Fatal(err)
	}
	_ = answering.Close()
	_ = client.Close()
	<-server.Ended()
	if n, err := io.Copy(io.Discard, stream); n != 200<<10 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if !stream.SessionEnded() {
		t.Error("the end of the session can't be told")
	}
}

// TestAgentOpensNoStreams: the relay would not serve them, and must not gather
// what they bring.
func TestAgentOpensNoStreams(t *testing.T) {
	client, server := sessions(t, time.Millisecond)
	early, err := client.OpenStream() // the relay has sent nothing yet
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Read(make([]byte, 1)); err != yamux.ErrConnectionReset {
		t.Error(err)
	}
	stream, err := server.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AcceptStream(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.OpenStream(); err != yamux.ErrRemoteGoAway {
		t.Error(err)
	}
	_ = stream.Close()
}

// TestEndIsToldOnce, whether a stream was ever open or not, and whichever end
// closes.
func TestEndIsToldOnce(t *testing.T) {
	for _, used := range []bool{false, true} {
		for _, closer := range []string{"relay", "agent"} {
			var told atomic.Int32
			client, server := sessions(t, time.Millisecond, func() { told.Add(1) })
			if used {
				if _, err := server.OpenStream(); err != nil {
					t.Fatal(err)
				}
			}
			if closer == "relay" {
				_ = server.Close()
			} else {
				_ = client.Close()
			}
			testkit.Eventually(t, 5*time.Second, "the end is told", func() error {
				if told.Load() != 1 {
					return fmt.Errorf("%d times", told.Load())
				}
				return nil
			})
			_ = server.Close()
			if _, err := server.OpenStream(); err == nil || !server.IsClosed() || told.Load() != 1 {
				t.Errorf("used %t, closed by the %s: %v, closed %t, told %d times", used, closer, err, server.IsClosed(), told.Load())
			}
		}
	}
}

// TestFirstStreamMayComeAtAnyTime: several requests begin the relay's session
// at once, while its reader is still waiting for heartbeats.
func TestFirstStreamMayComeAtAnyTime(t *testing.T) {
	for range 20 {
		client, server := sessions(t, time.Millisecond)
		var serving sync.WaitGroup
		serving.Go(func() {
			for range 4 {
				stream, err := client.AcceptStream()
				if err != nil {
					t.Error(err)
					return
				}
				serving.Go(func() {
					_, _ = io.Copy(stream, stream)
					_ = stream.Close()
				})
			}
		})
		var asking sync.WaitGroup
		for range 4 {
			server.Conn().Ping()
			asking.Go(func() {
				stream, err := server.OpenStream()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = stream.Write([]byte("hello"))
				if _, err := io.ReadFull(stream, make([]byte, 5)); err != nil {
					t.Error(err)
				}
				_ = stream.Close()
			})
		}
		asking.Wait()
		serving.Wait()
	}
}

// BenchmarkRequest is a small request and its answer on a stream of their own.
func BenchmarkRequest(b *testing.B) {
	client, server := sessions(b, time.Millisecond)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() {
		for {
			stream, err := client.AcceptStream()
			if err != nil {
				return
			}
			serving.Go(func() {
				p := make([]byte, 300)
				_, _ = io.ReadFull(stream, p)
				_, _ = stream.Write(p)
				_ = stream.Close()
			})
		}
	})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 300)
		for pb.Next() {
			stream, err := server.OpenStream()
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = stream.Write(p)
			if _, err := io.ReadFull(stream, p); err != nil {
				b.Error(err)
			}
			_ = stream.Close()
		}
	})
	_ = client.Close()
}
