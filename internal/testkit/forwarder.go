package testkit

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// inFlightLimit is how many bytes a forwarder holds for each direction of a
// connection while it delays them: a long path with ample queues.
const inFlightLimit = 64 << 20

// A Forwarder passes TCP connections on to a target and can be a bad network
// meanwhile: delay, throttle, go silent without closing anything (half-open),
// cut. Every fault can be set while connections are open.
type Forwarder struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	owned    sync.WaitGroup

	mu       sync.Mutex // guards the following
	open     map[*forwarded]struct{}
	delay    time.Duration
	rate     int64 // bytes a second each way; 0: no limit
	cutAfter int64 // bytes from the target; <0: never
	silent   chan struct{}
	refusing bool
	closed   bool
}

// forwarded is one connection through a forwarder.
type forwarded struct {
	client, target net.Conn
}

func (f *forwarded) close() {
	_ = f.client.Close()
	_ = f.target.Close()
}

// NewForwarder listens on the address listen ("127.0.0.1:0" picks a port) and
// passes each connection on to target. Its owner calls Close.
func NewForwarder(listen, target string) (*Forwarder, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("forwarder: %w", err)
	}
	f := &Forwarder{
		listener: listener,
		dial:     func() (net.Conn, error) { return net.DialTimeout("tcp", target, 5*time.Second) },
		open:     make(map[*forwarded]struct{}),
		cutAfter: -1,
	}
	f.owned.Add(1)
	go f.accept()
	return f, nil
}

// Addr is the host and port at which the forwarder listens.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// SetDelay sets how long each byte takes one way; a round trip takes twice that.
func (f *Forwarder) SetDelay(oneWay time.Duration) { f.set(func() { f.delay = oneWay }) }

// SetRate limits each direction of each connection to so many bytes a second;
// 0 lifts the limit.
func (f *Forwarder) SetRate(bytesPerSecond int64) { f.set(func() { f.rate = bytesPerSecond }) }

// CutAfter cuts each connection that is opened from now on once n bytes have
// come from the target; a negative n never cuts.
func (f *Forwarder) CutAfter(n int64) { f.set(func() { f.cutAfter = n }) }

// Silence stops passing anything on, both ways, and keeps every socket open:
// a half-open connection, as a pulled cable leaves it. False lets all flow again.
func (f *Forwarder) Silence(on bool) {
	f.set(func() {
		switch {
		case on && f.silent == nil:
			f.silent = make(chan struct{})
		case !on && f.silent != nil:
			close(f.silent)
			f.silent = nil
		}
	})
}

// Refuse closes new connections at once while on.
func (f *Forwarder) Refuse(on bool) { f.set(func() { f.refusing = on }) }

// Cut closes every connection that is open now.
func (f *Forwarder) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.close()
	}
}

// Open is the number of connections that are open now.
func (f *Forwarder) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// Close stops listening, cuts all connections and waits until none is left.
func (f *Forwarder) Close() {
	f.Silence(false)
	f.set(func() { f.closed = true })
	_ = f.listener.Close()
	f.Cut()
	f.owned.Wait()
}

func (f *Forwarder) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *Forwarder) accept() {
	defer f.owned.Done()
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		refusing := f.refusing
		f.mu.Unlock()
		if refusing {
			_ = client.Close()
			continue
		}
		f.owned.Add(1)
		go f.serve(client)
	}
}

func (f *Forwarder) serve(client net.Conn) {
	defer f.owned.Done()
	target, err := f.dial()
	if err != nil {
		_ = client.Close()
		return
	}
	c := &forwarded{client: client, target: target}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		c.close()
		return
	}
	f.open[c] = struct{}{}
	cutAfter := f.cutAfter
	f.mu.Unlock()
	defer func() {
		c.close()
		f.set(func() { delete(f.open, c) })
	}()

	var both sync.WaitGroup
	both.Go(func() { f.pass(target, client, -1) })
	both.Go(func() {
		if f.pass(client, target, cutAfter) == errCut {
			c.close()
		}
	})
	both.Wait()
}

// errCut says that a connection carried as many bytes as it may.
var errCut = errors.New("cut")

// chunk is data on its way, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

// pass carries one direction until its end, then half-closes to. Reading and
// writing are apart, so that a delay costs time but no bandwidth.
func (f *Forwarder) pass(to, from net.Conn, cutAfter int64) error {
	const size = 64 << 10
	onTheWay := make(chan chunk, inFlightLimit/size)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(onTheWay)
		for {
			buf := make([]byte, size)
			n, err := from.Read(buf)
			if n > 0 {
				f.mu.Lock()
				due := time.Now().Add(f.delay)
				f.mu.Unlock()
				onTheWay <- chunk{buf[:n], due}
			}
			if err != nil {
				return
			}
		}
	})
	err := f.deliver(to, onTheWay, cutAfter)
	if err == nil {
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	} else {
		_ = from.Close() // the reader ends, and the other side learns of it
		for range onTheWay {
		}
	}
	reader.Wait()
	return err
}

// deliver writes each chunk when it is due, at the rate that is set.
func (f *Forwarder) deliver(to io.Writer, onTheWay <-chan chunk, left int64) error {
	for c := range onTheWay {
		time.Sleep(time.Until(c.due))
		f.mu.Lock()
		rate, silent := f.rate, f.silent
		f.mu.Unlock()
		if silent != nil {
			<-silent
		}
		if left >= 0 && int64(len(c.data)) >= left {
			_, _ = to.Write(c.data[:left])
			return errCut
		}
		if left >= 0 {
			left -= int64(len(c.data))
		}
		if rate > 0 {
			time.Sleep(time.Duration(int64(len(c.data)) * int64(time.Second) / rate))
		}
		if _, err := to.Write(c.data); err != nil {
			return err
		}
	}
	return nil
}
