// Package rawio moves small pieces over TCP connections at less cost than Go
// does by itself.
//
// Go tells its scheduler of every system call that a goroutine makes, since it
// might block. Where the process was idle before, the first such call wakes the
// runtime's monitor thread, which then looks every 20 µs whether the call has
// ended, until the process is idle again: for a program that passes on one small
// request at a time that is a quarter of its processor time, and two threads that
// take turns on one processor. Reads and writes of a non-blocking socket never
// block, so that they can do without (syscall.RawSyscall). A goroutine that has
// to wait is parked as ever, and deadlines and Close mean what they always do.
//
// While the monitor sleeps nobody preempts a goroutine: what one read sets off to
// compute for 80 ms keeps all else on its processor waiting for 80 ms, in the place
// of 10. The monitor wakes with any ordinary call, of which a connection makes one
// every so often and logs and databases make many; when the collector begins; and
// with the first of the timers that were set when it fell asleep, or after a
// minute. From then on it stays awake until the process is idle. For the same
// reason a call that the system is slow with, as where memory is swapped out, holds
// its processor meanwhile.
//
// On systems other than Linux, and under the race detector, which learns from
// ordinary calls what happened before what, connections are left as they are.
package rawio

import (
	"context"
	"net"
)

// Listen is l, with connections that are cheaper for small pieces where l is a
// TCP listener.
func Listen(l net.Listener) net.Listener {
	if tcp, ok := l.(*net.TCPListener); ok {
		return &listener{tcp}
	}
	return l
}

// listener keeps all else that a TCP listener can do.
type listener struct{ *net.TCPListener }

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	return Conn(conn), nil
}

// Conn is c, cheaper for small pieces where c is a TCP connection. It can all
// that c can.
func Conn(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return wrap(tcp)
	}
	return c
}

// Dial is d's DialContext, with connections as Conn makes them.
func Dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return Conn(conn), nil
	}
}
