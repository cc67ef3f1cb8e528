package wsconn_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

// rested is an end that rests, and the other end of its websocket.
type rested struct {
	*wsconn.Conn
	peer  *wsconn.Conn
	woken chan struct{}
	texts chan string
	pongs atomic.Int32
}

// eachKind runs a test for connections without and with TLS, of which version
// is; 0: without.
func eachKind(t *testing.T, test func(t *testing.T, version uint16)) {
	t.Run("plain", func(t *testing.T) { test(t, 0) })
	t.Run("TLS 1.2", func(t *testing.T) { test(t, tls.VersionTLS12) })
	t.Run("TLS 1.3", func(t *testing.T) { test(t, tls.VersionTLS13) })
}

// rests makes a connection whose relay's end rests, as the hub makes them.
func rests(t *testing.T, version uint16, idle time.Duration) *rested {
	t.Helper()
	r := &rested{woken: make(chan struct{}), texts: make(chan string, 100)}
	r.Conn, r.peer = restful(t, version, nil, wsconn.Options{
		IdleTimeout: idle,
		OnPong:      func(time.Duration) { r.pongs.Add(1) },
		OnText: func(raw []byte) error {
			if string(raw) == "nonsense" {
				return errors.New("not understood")
			}
			r.texts <- string(raw)
			return nil
		},
	})
	r.Rest(func() { close(r.woken) })
	return r
}

// restful makes a connection whose relay's end can rest, and has not yet; path
// leads to an address. The other end answers pings.
func restful(t *testing.T, version uint16, path func(to string) string, opts wsconn.Options) (end, peer *wsconn.Conn) {
	t.Helper()
	watcher := &wsconn.Watcher{}
	type upgraded struct {
		ws     *websocket.Conn
		buffer *bufio.Reader
	}
	accepted := make(chan upgraded, 1)
	upgrader := &websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, buffer, err := wsconn.Upgrade(upgrader, w, r)
		if err != nil {
			t.Error(err)
		}
		accepted <- upgraded{ws, buffer}
	}))
	peer = wsconn.New(dialRested(t, server, version, path), wsconn.Options{})
	go func() { _, _ = io.Copy(io.Discard, peer) }() // ends with the connection
	a := <-accepted
	opts.Watcher, opts.Buffer = watcher, a.buffer
	end = wsconn.New(a.ws, opts)
	t.Cleanup(func() {
		var closing sync.WaitGroup
		closing.Go(func() { _ = peer.Close() })
		closing.Go(func() { _ = end.Close() })
		closing.Wait()
		server.Close()
		if err := watcher.Close(); err != nil {
			t.Error(err)
		}
	})
	return end, peer
}

// dialRested starts the server and connects to it.
func dialRested(t *testing.T, server *httptest.Server, version uint16, path func(string) string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{WriteBufferSize: wsconn.MaxMessage, WriteBufferPool: &wsconn.WriteBuffers{}}
	scheme := "ws://"
	if version > 0 {
		server.StartTLS()
		trust := server.Client().Transport.(*http.Transport).TLSClientConfig
		dialer.TLSClientConfig, scheme = &tls.Config{RootCAs: trust.RootCAs, MaxVersion: version}, "wss://"
	} else {
		server.Start()
	}
	address := server.Listener.Addr().String()
	if path != nil {
		address = path(address)
	}
	ws, _, err := dialer.Dial(scheme+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func (r *rested) awake() bool {
	select {
	case <-r.woken:
		return true
	default:
		return false
	}
}

func TestRestingConnTakesInHeartbeatsAndTexts(t *testing.T) {
	eachKind(t, restingConnTakesInHeartbeatsAndTexts)
}

func restingConnTakesInHeartbeatsAndTexts(t *testing.T, version uint16) {
	t.Parallel()
	r := rests(t, version, 0)
	var want int32
	for n := range 30 {
		text := strings.Repeat("x", n*40) // also longer than the read buffer
		if err := r.peer.SendText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := <-r.texts; got != text {
			t.Fatalf("%d bytes came, want %d", len(got), len(text))
		}
		r.peer.Ping()
		r.peer.SignOfLife()
		r.Ping()
		want++
		testkit.Eventually(t, 5*time.Second, "the ping is answered", func() error {
			if got := r.pongs.Load(); got != want {
				return fmt.Errorf("%d are, want %d", got, want)
			}
			return nil
		})
	}
	if r.awake() {
		t.Error("it was woken for that")
	}
}

func TestRestingConnsNeedNoGoroutines(t *testing.T) { eachKind(t, restingConnsNeedNoGoroutines) }

func restingConnsNeedNoGoroutines(t *testing.T, version uint16) {
	if runtime.GOOS != "linux" {
		testkit.Missing(t, "Linux", "elsewhere a goroutine reads each")
	}
	one := rests(t, version, 0)
	before := runtime.NumGoroutine()
	one.Ping()
	buffer := make([]byte, 1<<16)
	testkit.Eventually(t, 5*time.Second, "none reads", func() error {
		if one.pongs.Load() == 0 {
			return errors.New("no answer yet")
		}
		stacks := string(buffer[:runtime.Stack(buffer, true)])
		if strings.Contains(stacks, "wsconn.(*Conn).resume") || strings.Contains(stacks, "wsconn.(*Conn).Rest") {
			return fmt.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks)
		}
		return nil
	})
}

// TestRestingConnIsWokenByData, of which nothing is lost, whatever was before it.
func TestRestingConnIsWokenByData(t *testing.T) { eachKind(t, restingConnIsWokenByData) }

func restingConnIsWokenByData(t *testing.T, version uint16) {
	for n := range 6 {
		r := rests(t, version, 0)
		for range n % 4 {
			r.peer.Ping()
			if err := r.peer.SendText([]byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		data := bytes.Repeat([]byte{byte(n)}, 1+n*20_000)
		go func() { _, _ = r.peer.Write(data) }()
		select {
		case <-r.woken:
		case <-time.After(5 * time.Second):
			t.Fatal("it sleeps on")
		}
		got := make([]byte, len(data))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("other bytes: %v", err)
		}
		if len(r.texts) != n%4 {
			t.Errorf("%d of %d texts came", len(r.texts), n%4)
		}
		go func() { _, _ = io.Copy(io.Discard, r) }() // hears the other end close
	}
}

// TestRestingConnIsWokenByItsEnd, whoever brings it about.
func TestRestingConnIsWokenByItsEnd(t *testing.T) { eachKind(t, restingConnIsWokenByItsEnd) }

func restingConnIsWokenByItsEnd(t *testing.T, version uint16) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*rested)
		want error
	}{
		{"the other end closes in order", func(r *rested) { _ = r.peer.Close() }, io.EOF},
		{"this end closes", func(r *rested) { _ = r.Close() }, nil},
		{"a text that is not understood", func(r *rested) { _ = r.peer.SendText([]byte("nonsense")) }, nil},
		{"silence", func(r *rested) {
			for !r.awake() {
				if r.Silent() > 300*time.Millisecond {
					r.Rouse()
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rests(t, version, 300*time.Millisecond)
			c.end(r)
			select {
			case <-r.woken:
			case <-time.After(5 * time.Second):
				t.Fatal("it sleeps on")
			}
			_, err := r.Read(make([]byte, 1))
			var network net.Error
			switch {
			case err == nil, c.want != nil && err != c.want:
				t.Error(err)
			case c.name == "silence" && !(errors.As(err, &network) && network.Timeout()):
				t.Error(err)
			}
		})
	}
}
