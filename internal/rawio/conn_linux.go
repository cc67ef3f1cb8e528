//go:build !race

package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// small is the longest piece, in bytes, that is written without telling the
// scheduler. A longer one takes the system so long that others should have the
// processor if they need it, and what telling costs is little beside it.
//
// room is the longest buffer that is read into so. It says little of what comes:
// that of TLS is 40 KiB for good, once a few full records have come in a row.
const (
	small = 16 << 10
	room  = 64 << 10
)

// ordinary is which one of a connection's small pieces, in each direction, is
// moved by an ordinary call, beginning with the first.
const ordinary = 256

// conn is a TCP connection whose small pieces go by raw system calls.
type conn struct {
	*net.TCPConn
	socket   syscall.RawConn
	incoming transfer
	outgoing transfer
}

// transfer moves pieces in one direction.
type transfer struct {
	mu    sync.Mutex // held for the whole of a piece, as the net package does
	count uint
	// what moves the piece until it would block; kept, since making it costs an
	// allocation
	try   func(fd uintptr) bool
	piece []byte
	moved int
	errno syscall.Errno
}

func wrap(tcp *net.TCPConn) net.Conn {
	socket, err := tcp.SyscallConn()
	if err != nil {
		return tcp
	}
	c := &conn{TCPConn: tcp, socket: socket}
	c.incoming.try, c.outgoing.try = c.incoming.read, c.outgoing.write
	return c
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	t := &c.incoming
	if len(p) == 0 || len(p) > room || !t.begin(p) {
		return c.TCPConn.Read(p)
	}
	n, errno, err := t.end(c.socket.Read(t.try))
	switch {
	case err != nil:
		return 0, c.fault("read", err)
	case errno != 0:
		return 0, c.fault("read", os.NewSyscallError("read", errno))
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	t := &c.outgoing
	if len(p) == 0 || len(p) > small || !t.begin(p) {
		return c.TCPConn.Write(p)
	}
	n, errno, err := t.end(c.socket.Write(t.try))
	switch {
	case err != nil:
		return n, c.fault("write", err)
	case errno != 0:
		return n, c.fault("write", os.NewSyscallError("write", errno))
	case n < len(p):
		return n, c.fault("write", io.ErrUnexpectedEOF)
	}
	return n, nil
}

// begin takes the direction for p, unless the turn is that of an ordinary call.
func (t *transfer) begin(p []byte) bool {
	t.mu.Lock()
	t.count++
	if t.count%ordinary == 1 {
		t.mu.Unlock()
		return false
	}
	t.piece, t.moved, t.errno = p, 0, 0
	return true
}

// end lets go of the direction, and returns what became of the piece. err is
// that the connection was closed or its time was up.
func (t *transfer) end(err error) (int, syscall.Errno, error) {
	defer t.mu.Unlock()
	t.piece = nil
	return t.moved, t.errno, err
}

// read moves what has come, and reports false where nothing has.
func (t *transfer) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&t.piece[0])), uintptr(len(t.piece)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			t.moved = int(n)
		}
		t.errno = errno
		return true
	}
}

// write moves what the system takes, and reports false until that is all. A
// system that takes nothing and names no reason is not asked again.
func (t *transfer) write(fd uintptr) bool {
	for t.moved < len(t.piece) {
		rest := t.piece[t.moved:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			if t.moved += int(n); n == 0 {
				return true
			}
		default:
			t.errno = errno
			return true
		}
	}
	return true
}

// fault is an error as the net package words it.
func (c *conn) fault(op string, err error) error {
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
