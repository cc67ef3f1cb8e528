package mux_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap/zaptest"

	"sallyport/internal/mux"
	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

// TestNobodyHasToWaitInACrowd: on a line that does not move, with bodies ahead,
// whoever gives up can go.
func TestNobodyHasToWaitInACrowd(t *testing.T) {
	accepted := make(chan *websocket.Conn, 1)
	upgrader := websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- ws
	}))
	defer door.Close()
	network, err := testkit.NewForwarder("127.0.0.1:0", door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+network.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mux.Client(wsconn.New(ws, wsconn.Options{}), mux.Options{Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := mux.Server(wsconn.New(<-accepted, wsconn.Options{}), mux.Options{Log: zaptest.NewLogger(t)})
	defer client.Close()
	network.SetRate(16 << 10)

	idle, err := server.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	var busy [16]*mux.Stream
	for i := range busy {
		if busy[i], err = server.OpenStream(); err != nil {
			t.Fatal(err)
		}
	}
	var bodies sync.WaitGroup
	for _, stream := range busy {
		bodies.Go(func() { _, _ = io.Copy(stream, endless{}) })
	}
	defer bodies.Wait()
	defer server.Close()
	defer network.Cut()

	done := make(chan string, 3)
	// The queue must be full, or there is nothing to wait for.
	testkit.Eventually(t, 10*time.Second, "a stream can't be opened at once", func() error {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		stream, err := server.OpenStreamContext(short)
		if err == nil {
			_ = stream.Close()
			return errors.New("it can")
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return nil
	})
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := idle.WriteContext(ctx, make([]byte, 1000)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
		done <- "write"
		idle.Abort()
		done <- "abort"
	}()
	for range 2 {
		select {
		case <-done:
		case <-time.After(5 * time.Second): // some 25 frames of 2 s are ahead
			t.Fatal("still waiting")
		}
	}
}
