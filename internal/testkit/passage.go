package testkit

import (
	"errors"
	"net"
	"sync"
	"time"
)

// How many bytes a forwarder holds for each direction of a connection: on a
// path that is only long, as much as the path does; on one that is throttled,
// what a modem queues, 8 s of 64 kbit/s.
const (
	longQueue = 64 << 20
	slowQueue = 64 << 10
)

// forwarded is one connection through a forwarder.
type forwarded struct {
	client, target net.Conn
	cuts           []Cut // those to come; guarded by the forwarder's mu
}

func (c *forwarded) close() {
	_ = c.client.Close()
	_ = c.target.Close()
}

// reset closes with RST.
func (c *forwarded) reset() {
	for _, end := range []net.Conn{c.client, c.target} {
		if tcp, ok := end.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it is closed already where this fails
		}
	}
	c.close()
}

// errCut says that a connection carried as many bytes as it may.
var errCut = errors.New("cut")

// pass carries one direction until its end, then half-closes the other side.
// Reading and writing are apart, so that a delay costs time but no bandwidth.
func (f *Forwarder) pass(c *forwarded, up bool) {
	from, to := c.target, c.client
	if up {
		from, to = c.client, c.target
	}
	q := newQueue()
	var reader sync.WaitGroup
	reader.Go(func() {
		defer q.end()
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				f.mu.Lock()
				due, limit := time.Now().Add(f.delay), longQueue
				if f.rate > 0 {
					limit = slowQueue
				}
				f.mu.Unlock()
				q.put(chunk{buf[:n], due}, limit)
			}
			if err != nil {
				return
			}
		}
	})
	if err := f.deliver(c, to, q, up); err == nil {
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	} else {
		_ = from.Close() // the reader ends, and the other side learns of it
		q.drop()
	}
	reader.Wait()
}

// deliver writes each chunk when it is due, at the rate that is set.
func (f *Forwarder) deliver(c *forwarded, to net.Conn, q *queue, up bool) error {
	var alarm alarm
	defer alarm.close()
	for {
		held, ok := q.take()
		if !ok {
			return nil
		}
		alarm.sleep(time.Until(held.due))
		for data := held.data; len(data) > 0; {
			f.mu.Lock()
			rate, silent := f.rate, f.silent
			f.mu.Unlock()
			if silent != nil {
				<-silent
			}
			piece := data
			if rate > 0 { // a slow line does not carry in lumps
				piece = data[:min(len(data), max(1, int(rate/50)))]
				time.Sleep(time.Duration(int64(len(piece)) * int64(time.Second) / rate))
			}
			if err := f.write(c, to, piece, up); err != nil {
				return err
			}
			data = data[len(piece):]
		}
		q.done(len(held.data))
	}
}

// write writes a piece, or the part of it that a cut lets through.
func (f *Forwarder) write(c *forwarded, to net.Conn, piece []byte, up bool) error {
	f.mu.Lock()
	through, cut := f.spend(c, len(piece), up)
	f.mu.Unlock()
	if _, err := to.Write(piece[:through]); err != nil {
		return err
	}
	switch {
	case cut == nil:
		return nil
	case cut.Reset:
		c.reset()
	default:
		c.close()
	}
	return errCut
}

// spend takes n bytes off what the cuts let through. It returns how many of
// them may pass, and the cut that is due after those. The forwarder's mu is held.
func (f *Forwarder) spend(c *forwarded, n int, up bool) (int, *Cut) {
	var due *Cut
	for i := range c.cuts {
		cut := &c.cuts[i]
		if cut.Up != up {
			continue
		}
		if cut.After <= int64(n) {
			n, due = int(max(0, cut.After)), cut
		}
	}
	for i := range c.cuts {
		if c.cuts[i].Up == up {
			c.cuts[i].After -= int64(n)
		}
	}
	return n, due
}

// chunk is data on its way, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

// queue is what is on its way in one direction.
type queue struct {
	mu      sync.Mutex // guards the following
	changed *sync.Cond
	chunks  []chunk
	bytes   int // taken out and not yet done included
	ended   bool
	dropped bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put waits for room.
func (q *queue) put(c chunk, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > 0 && q.bytes+len(c.data) > limit && !q.dropped {
		q.changed.Wait()
	}
	q.bytes += len(c.data)
	q.chunks = append(q.chunks, c)
	q.changed.Broadcast()
}

// take waits for a chunk; false: there will be none.
func (q *queue) take() (chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.chunks) == 0 && !q.ended {
		q.changed.Wait()
	}
	if len(q.chunks) == 0 {
		return chunk{}, false
	}
	c := q.chunks[0]
	q.chunks = q.chunks[1:]
	return c, true
}

// done makes room for n bytes.
func (q *queue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= n
	q.changed.Broadcast()
}

// end says that nothing more is put.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.changed.Broadcast()
}

// drop says that nothing more is taken.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped = true
	q.changed.Broadcast()
}
