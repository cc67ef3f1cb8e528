package cli

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptNoMore has the system drop requests for new connections on l, while those
// that wait in its queue are still accepted. Closing l would reset them, with the
// requests that their clients have sent already. Whoever comes now tries again
// within a second, and finds the port closed. That it can't be done is no fault:
// then what is in the queue is lost.
func acceptNoMore(l net.Listener) {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	const synSent, flags, all = 0x02, 13, 0xffffffff // RFC 9293, section 3.1; flags is the offset of their byte
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synSent},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, Jf: 0, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},   // a SYN is dropped
		{Code: unix.BPF_RET | unix.BPF_K, K: all}, // what ends a handshake is not
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
}
