package wsconn_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/wsconn"
)

// TestOtherEndHearsWhyAConnectionWasClosed.
func TestOtherEndHearsWhyAConnectionWasClosed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 100)
	for _, c := range []struct {
		say  func(*wsconn.Conn)
		code int
		text string
	}{
		{func(*wsconn.Conn) {}, websocket.CloseGoingAway, ""},
		{func(c *wsconn.Conn) { c.SayAtClose(websocket.CloseGoingAway, "it was told to") }, websocket.CloseGoingAway, "it was told to"},
		{func(c *wsconn.Conn) { c.SayAtClose(4001, "first"); c.SayAtClose(websocket.CloseGoingAway, "second") }, 4001, "first"},
		{func(c *wsconn.Conn) { c.SayAtClose(4001, long) }, 4001, long[:120] + "…"},
	} {
		client, server, _ := conns(t, wsconn.Options{})
		if code, text := client.Farewell(); code != 0 || text != "" {
			t.Errorf("before it was closed: %d %q", code, text)
		}
		c.say(server)
		go func() { _ = server.Close() }()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF || !client.ClosedInOrder() {
			t.Errorf("%v, in order: %v", err, client.ClosedInOrder())
		}
		if code, text := client.Farewell(); code != c.code || text != c.text {
			t.Errorf("%d %q, want %d %q", code, text, c.code, c.text)
		}
	}
}

// accept is the answer to a client's key (RFC 6455, section 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// slowToWait is a connection on which a late deadline is set only after an early
// one, as it happens where Close comes while a message is about to leave.
type slowToWait struct {
	net.Conn
	early chan struct{} // closed when an early deadline was set
}

func (c *slowToWait) SetWriteDeadline(at time.Time) error {
	if at.IsZero() {
		return c.Conn.SetWriteDeadline(at)
	}
	if time.Until(at) > 10*time.Second {
		<-c.early
		return c.Conn.SetWriteDeadline(at)
	}
	err := c.Conn.SetWriteDeadline(at)
	select {
	case <-c.early:
	default:
		close(c.early)
	}
	return err
}

// TestCloseIsNotHeldUpByAMessageThatIsAboutToLeave, to an end that reads nothing.
func TestCloseIsNotHeldUpByAMessageThatIsAboutToLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() { // accepts the websocket, and reads no more
			r, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+accept(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		}()
		slow := &slowToWait{near, make(chan struct{})}
		dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return slow, nil }}
		ws, _, err := dialer.Dial("ws://relay/", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := wsconn.New(ws, wsconn.Options{})
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the message is about to leave
		began := time.Now()
		_ = c.Close()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
