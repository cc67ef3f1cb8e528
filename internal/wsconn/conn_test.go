package wsconn_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen accepts websockets.
func listen(t *testing.T) (address string, accepted <-chan *websocket.Conn) {
	t.Helper()
	conns := make(chan *websocket.Conn, 1)
	upgrader := websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		conns <- ws
	}))
	t.Cleanup(relay.Close)
	return relay.Listener.Addr().String(), conns
}

func dial(t *testing.T, address string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{WriteBufferSize: wsconn.MaxMessage, WriteBufferPool: &wsconn.WriteBuffers{}}
	ws, _, err := dialer.Dial("ws://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

// pair returns both ends of a websocket, through a network that can be bad.
func pair(t *testing.T) (client, server *websocket.Conn, network *testkit.Forwarder) {
	t.Helper()
	address, accepted := listen(t)
	network, err := testkit.NewForwarder("127.0.0.1:0", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	client = dial(t, network.Addr())
	server = <-accepted
	t.Cleanup(func() { _ = server.Close() })
	return client, server, network
}

func conns(t *testing.T, opts wsconn.Options) (client, server *wsconn.Conn, network *testkit.Forwarder) {
	t.Helper()
	c, s, network := pair(t)
	client, server = wsconn.New(c, opts), wsconn.New(s, opts)
	t.Cleanup(func() {
		var closing sync.WaitGroup
		closing.Go(func() { _ = client.Close() })
		closing.Go(func() { _ = server.Close() })
		closing.Wait()
	})
	return client, server, network
}

func TestBytesArriveAsTheyWereWritten(t *testing.T) {
	client, server, _ := conns(t, wsconn.Options{})
	sent := make([]byte, 5<<20)
	_, _ = rand.Read(sent)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			rest := sent
			for size := 1; len(rest) > 0; size = size*3%(3*wsconn.MaxMessage) + 1 { // from single bytes to more than a message
				n := min(size, len(rest))
				if _, err := way[0].Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(way[1], got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("other bytes arrived")
		}
	}
}

// TestSmallWritesShareMessages: while a message is on its way, what is written
// gathers.
func TestSmallWritesShareMessages(t *testing.T) {
	t.Parallel()
	c, s, _ := pair(t)
	client := wsconn.New(c, wsconn.Options{})
	defer client.Close()
	const writes, size = 20_000, 12
	go func() {
		for range writes {
			if _, err := client.Write(make([]byte, size)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	messages, total := 0, 0
	for total < writes*size {
		kind, r, err := s.NextReader()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatal(kind, err)
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil {
			t.Fatal(err)
		}
		if n > wsconn.MaxMessage {
			t.Fatalf("a message of %d bytes", n)
		}
		total += int(n)
		messages++
	}
	if messages > writes/4 {
		t.Errorf("%d messages for %d writes", messages, writes)
	}
	_ = s.Close()
}

func TestHeldBytesLeaveWithTheNext(t *testing.T) {
	t.Parallel()
	c, s, _ := pair(t)
	client := wsconn.New(c, wsconn.Options{})
	defer client.Close()
	if _, err := client.WriteHeld([]byte("header,")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("body")); err != nil {
		t.Fatal(err)
	}
	_, message, err := s.ReadMessage()
	if err != nil || string(message) != "header,body" {
		t.Errorf("%q, %v", message, err)
	}
	_ = s.Close()
}

func TestFullLineHoldsWritersBack(t *testing.T) {
	// Straight: a forwarder in between would take in 64 MiB by itself.
	address, accepted := listen(t)
	client, server := wsconn.New(dial(t, address), wsconn.Options{}), <-accepted
	t.Cleanup(func() { _ = server.Close() })
	var wrote atomic.Int64
	failed := make(chan error, 1)
	go func() {
		for {
			n, err := client.Write(make([]byte, 32<<10))
			wrote.Add(int64(n))
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	// Nobody reads: the writer must come to rest.
	last := int64(-1)
	testkit.Eventually(t, 10*time.Second, "the writer is held back", func() error {
		now := wrote.Load()
		defer func() { last = now }()
		if now == last && now > 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond) // between two looks
		return errors.New("it still writes")
	})
	if wrote.Load() > 32<<20 {
		t.Errorf("%d bytes were taken in", wrote.Load())
	}
	closed := make(chan struct{})
	go func() { _ = client.Close(); close(closed) }()
	defer func() { <-closed }()
	select {
	case err := <-failed:
		if !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "write websocket") {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Close did not wake the writer")
	}
}

func TestCloseSendsWhatIsPendingAndEndsInOrder(t *testing.T) {
	t.Parallel()
	client, server, _ := conns(t, wsconn.Options{})
	if _, err := client.WriteHeld([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	go func() { _ = client.Close() }()
	got, err := io.ReadAll(server)
	if err != nil || string(got) != "last words" {
		t.Errorf("%q, %v", got, err)
	}
	if !server.ClosedInOrder() || server.Cause() != nil {
		t.Errorf("in order: %v, cause: %v", server.ClosedInOrder(), server.Cause())
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestCloseWakesTheReader(t *testing.T) {
	t.Parallel()
	client, _, _ := conns(t, wsconn.Options{})
	done := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		done <- err
	}()
	began := time.Now()
	_ = client.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCutConnectionIsNotAnOrderlyEnd(t *testing.T) {
	t.Parallel()
	client, server, network := conns(t, wsconn.Options{})
	if _, err := client.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	network.Cut()
	if _, err := server.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
	if server.ClosedInOrder() || server.Cause() == nil {
		t.Errorf("in order: %v, cause: %v", server.ClosedInOrder(), server.Cause())
	}
}

// TestSilenceEndsTheConnection: no byte for IdleTimeout ends it, however open
// the sockets are; heartbeats keep it.
func TestSilenceEndsTheConnection(t *testing.T) {
	const idle = 400 * time.Millisecond
	var pongs atomic.Int32
	client, server, network := conns(t, wsconn.Options{IdleTimeout: idle, OnPong: func(rtt time.Duration) {
		if rtt > 0 {
			pongs.Add(1)
		}
	}})
	ended := make(chan error, 2)
	for _, c := range []*wsconn.Conn{client, server} {
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
	}
	beat := time.NewTicker(idle / 4)
	defer beat.Stop()
	for pongs.Load() < 8 { // twice the time-out
		select {
		case err := <-ended:
			t.Fatalf("ended with heartbeats: %v", err)
		case <-beat.C:
			server.Ping()
		}
	}
	network.Silence(true)
	for range 2 {
		select {
		case err := <-ended:
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("got %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("not noticed")
		}
	}
}

func TestTextMessageIsAFault(t *testing.T) {
	c, s, _ := pair(t)
	server := wsconn.New(s, wsconn.Options{})
	defer server.Close()
	if err := wsconn.WriteText(c, []byte("{}"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "text message") {
		t.Error(err)
	}
}

// TestTextMessagesTravelBesideTheStream: each arrives whole and in its turn, and
// the bytes around them as if there were none.
func TestTextMessagesTravelBesideTheStream(t *testing.T) {
	t.Parallel()
	c, s, _ := pair(t)
	var got []string
	client := wsconn.New(c, wsconn.Options{})
	server := wsconn.New(s, wsconn.Options{OnText: func(raw []byte) error {
		got = append(got, string(raw))
		return nil
	}})
	var closing sync.WaitGroup
	defer closing.Wait()
	defer closing.Go(func() { _ = client.Close() })
	defer closing.Go(func() { _ = server.Close() })
	var want []string
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	closing.Go(func() {
		for n := range 10 {
			if _, err := client.Write(data[n*10_000 : (n+1)*10_000]); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 10 {
		want = append(want, strings.Repeat("x", n*100))
		if err := client.SendText([]byte(want[n])); err != nil {
			t.Fatal(err)
		}
	}
	all := make([]byte, len(data))
	if _, err := io.ReadFull(server, all); err != nil || !bytes.Equal(all, data) {
		t.Fatalf("other bytes, %v", err)
	}
	if _, err := client.Write([]byte("!")); err != nil { // all texts are before it
		t.Fatal(err)
	}
	if _, err := server.Read(all); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q", got)
	}
}

// TestTextMessageThatIsRefusedEndsTheConnection, and so does one that is too long.
func TestTextMessageThatIsRefusedEndsTheConnection(t *testing.T) {
	refused := errors.New("not understood")
	for _, text := range [][]byte{[]byte("?"), make([]byte, wsconn.MaxText+1)} {
		c, s, _ := pair(t)
		server := wsconn.New(s, wsconn.Options{OnText: func(raw []byte) error { return refused }})
		if err := wsconn.WriteText(c, text, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for range 3 { // the error lasts
			if _, err := server.Read(make([]byte, 1)); err == nil || len(text) == 1 && !errors.Is(err, refused) {
				t.Error(err)
			}
		}
		if server.Cause() == nil {
			t.Error("no cause")
		}
		_ = server.Close()
	}
}

func TestReadTextIsBounded(t *testing.T) {
	c, s, _ := pair(t)
	if err := wsconn.WriteText(c, make([]byte, 200), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := wsconn.ReadText(s, 100, time.Now().Add(time.Second)); !errors.Is(err, websocket.ErrReadLimit) {
		t.Error(err)
	}
	c, s, _ = pair(t)
	if _, err := wsconn.ReadText(s, 100, time.Now().Add(20*time.Millisecond)); err == nil {
		t.Error("no deadline")
	}
	if err := c.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
}
