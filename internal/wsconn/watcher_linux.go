package wsconn

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Watcher waits, with one goroutine, for bytes on any number of connections
// that rest. Go itself would need a goroutine for each, whose stack is most of
// what an idle connection costs. The zero value is ready; it begins with the
// first connection.
type Watcher struct {
	mu     sync.Mutex // guards the following
	all    map[uint64]*Conn
	last   uint64
	file   *os.File // of the epoll instance, see epoll(7); nil before the first connection
	epoll  syscall.RawConn
	ended  chan struct{}
	closed bool
}

// open begins to watch, unless that is so already.
func (w *Watcher) open() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return os.ErrClosed
	case w.file != nil:
		return nil
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("watch connections: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return fmt.Errorf("watch connections: %w", err)
	}
	file := os.NewFile(uintptr(fd), "epoll") // which Go's poller can watch itself
	epoll, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("watch connections: %w", err)
	}
	w.file, w.epoll, w.ended, w.all = file, epoll, make(chan struct{}), make(map[uint64]*Conn)
	go w.watch()
	return nil
}

// Close stops watching. Connections that still rest are not woken.
func (w *Watcher) Close() error {
	w.mu.Lock()
	w.closed = true
	file := w.file
	w.mu.Unlock()
	if file == nil {
		return nil
	}
	err := file.Close()
	<-w.ended
	return err
}

func (w *Watcher) watch() {
	defer close(w.ended)
	events := make([]syscall.EpollEvent, 256)
	for {
		var n int
		var failed error
		err := w.epoll.Read(func(fd uintptr) bool {
			n, failed = syscall.EpollWait(int(fd), events, 0)
			return n != 0 && !errors.Is(failed, syscall.EINTR)
		})
		if err != nil || failed != nil && !errors.Is(failed, syscall.EINTR) {
			return // it was closed
		}
		for _, e := range events[:max(n, 0)] {
			w.mu.Lock()
			c := w.all[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32]
			w.mu.Unlock()
			if c != nil {
				c.Rouse()
			}
		}
	}
}

// add begins to know c.
func (w *Watcher) add(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	c.resting.id = w.last
	w.all[w.last] = c
}

func (w *Watcher) remove(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, id)
}

// arm has the connection roused once, when there is something to read or the
// other end has closed. A socket that is closed is forgotten by the system.
func (w *Watcher) arm(r *resting) error {
	var closed, failed error
	err := r.socket.Control(func(fd uintptr) {
		e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(r.id), Pad: int32(r.id >> 32)}
		closed = w.epoll.Control(func(epoll uintptr) {
			failed = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_MOD, int(fd), &e)
			if errors.Is(failed, syscall.ENOENT) {
				failed = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_ADD, int(fd), &e)
			}
		})
	})
	return errors.Join(err, closed, failed)
}
