package wsconn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentLowWater is how much the kernel may hold that it has not sent yet, in
// bytes. Left alone it takes megabytes, and a small request then waits behind
// all of them. What is sent but not acknowledged does not count, so a long
// path stays full.
const unsentLowWater = 128 << 10

// limitUnsent keeps the kernel's queue of unsent bytes short, where the TCP
// socket can be reached. That it can't be is no fault: only latency under load
// suffers.
func limitUnsent(conn net.Conn) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn() // a TLS connection
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLowWater)
	})
}
