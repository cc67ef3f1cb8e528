package wsconn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentQueue is what the kernel holds of a TCP connection that it has not sent
// yet. Left alone it takes megabytes, and a small request then waits behind all
// of them. What is sent but not acknowledged does not count, so a long path
// stays full. Where the socket can't be reached, limiting it does nothing: only
// latency under load suffers.
type unsentQueue struct{ socket syscall.RawConn }

func newUnsentQueue(conn net.Conn) unsentQueue {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn() // a TLS connection
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return unsentQueue{}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return unsentQueue{}
	}
	return unsentQueue{raw}
}

// limit has writers wait while the queue is longer than so many bytes.
func (q unsentQueue) limit(bytes int) {
	if q.socket == nil {
		return
	}
	_ = q.socket.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
