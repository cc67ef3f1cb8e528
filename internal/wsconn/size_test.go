package wsconn_test

import (
	"io"
	"testing"
	"time"

	"sallyport/internal/wsconn"
)

func TestMessagesAreAsLongAsTheLineTakesInAMoment(t *testing.T) {
	client, server, network := conns(t, wsconn.Options{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, server)
	}()
	send := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); client.MessageSize() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("messages are of %d bytes, want %d", client.MessageSize(), want)
			}
			if _, err := client.Write(make([]byte, 32<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(wsconn.MaxMessage) // loopback
	network.SetRate(1 << 20)
	send(16 << 10)
	network.SetRate(0)
	send(wsconn.MaxMessage)
	_ = client.Close()
	<-read
}
