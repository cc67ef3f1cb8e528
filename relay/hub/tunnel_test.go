package hub

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

func TestABrokenConnectionIsToldInWordsForPeople(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{&websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}, "the connection broke without a goodbye"},
		{io.ErrUnexpectedEOF, "the connection broke without a goodbye"},
		{&websocket.CloseError{Code: websocket.CloseProtocolError, Text: "bad frame"}, "the connection broke: read websocket: websocket: close 1002 (protocol error): bad frame"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "the connection broke without a goodbye"},
		{&net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")}, "the connection broke: read websocket: local error: tls: bad record MAC"},
	} {
		if got := broke(fmt.Errorf("read websocket: %w", c.cause)); got != c.want {
			t.Errorf("%v: got %q, want %q", c.cause, got, c.want)
		}
	}
}
