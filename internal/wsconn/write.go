package wsconn

import (
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// urgency is what becomes of bytes once they are pending.
type urgency int

const (
	held   urgency = iota // they leave with the next ones
	gather                // a goroutine sends them, with what comes meanwhile
	now                   // the writer sends them itself, unless a goroutine is sending
)

// Write accepts p for sending, and blocks while the pending buffer is full. An
// error of an earlier message is returned by a later Write.
func (c *Conn) Write(p []byte) (int, error) { return c.write(p, gather) }

// WriteNow is Write for a writer who knows of nothing that could share the
// message: he sends it himself, which saves waking a goroutine for it.
func (c *Conn) WriteNow(p []byte) (int, error) { return c.write(p, now) }

// WriteHeld accepts p like Write, but leaves it to the next Write to send it:
// for the header of something whose body follows at once.
func (c *Conn) WriteHeld(p []byte) (int, error) { return c.write(p, held) }

func (c *Conn) write(p []byte, when urgency) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for {
		if c.err != nil {
			return total, c.err
		}
		if c.closed {
			return total, net.ErrClosed
		}
		if c.pending == nil {
			c.pending = lend(c.size.now())
		}
		most := min(c.size.now(), cap(c.pending)) // it may have become more or less since
		n := min(len(p)-total, max(most-len(c.pending), 0))
		c.pending = append(c.pending, p[total:total+n]...)
		total += n
		if total == len(p) {
			switch {
			case when == gather:
				c.startFlush()
			case when == now && !c.flushing:
				c.flushing = true
				c.flushLocked()
				return total, c.err
			}
			return total, nil
		}
		c.startFlush()
		c.changed.Wait()
	}
}

// Ping asks the other end for an answer, of which OnPong will be told. It does
// not block.
func (c *Conn) Ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.err != nil {
		return
	}
	c.ping = true
	c.startFlush()
}

// pingPayload is what every ping asks to have sent back, so that the answer
// can be told from a sign of life.
const pingPayload = "?"

// SignOfLife tells the other end that this one is there, by a pong that nobody
// has asked for (RFC 6455, section 5.5.3), unless something else was sent since
// the last call. It does not block. An answer to the other end's ping would not
// do: the ping may wait for long behind a body on its way here.
func (c *Conn) SignOfLife() {
	c.mu.Lock()
	defer c.mu.Unlock()
	spoke := c.spoke
	c.spoke = false
	if spoke || c.closed || c.err != nil {
		return
	}
	c.pong = []byte{}
	c.startFlush()
}

// gotPing runs in the reader. The answer is left to the flushing goroutine: a
// reader that waits for a full line would stop both directions.
func (c *Conn) gotPing(payload string) error {
	c.touch()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.err != nil {
		return nil
	}
	c.pong = append(make([]byte, 0, len(payload)), payload...)
	c.startFlush()
	return nil
}

// gotPong runs in the reader.
func (c *Conn) gotPong(payload string) error {
	c.touch()
	if payload != pingPayload {
		return nil // a sign of life
	}
	c.mu.Lock()
	pinged := c.pinged
	c.pinged = time.Time{}
	c.mu.Unlock()
	if !pinged.IsZero() && c.opts.OnPong != nil {
		c.opts.OnPong(time.Since(pinged))
	}
	return nil
}

// startFlush sees to it that a goroutine is sending. It belongs to the Conn:
// Close waits for it. mu is held.
func (c *Conn) startFlush() {
	if !c.flushing && c.err == nil {
		c.flushing = true
		go c.flush()
	}
}

func (c *Conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
}

// flushLocked sends until nothing is left to send. flushing is set and mu held;
// it is let go of while a message leaves.
func (c *Conn) flushLocked() {
	defer func() {
		c.flushing = false
		c.changed.Broadcast()
	}()
	for c.err == nil && (c.pending != nil || c.ping || c.pong != nil || c.texts != nil) {
		batch, ping, pong, texts := c.pending, c.ping, c.pong, c.texts
		c.pending, c.ping, c.pong, c.texts = nil, false, nil, nil
		c.spoke = true
		if ping && c.pinged.IsZero() {
			c.pinged = time.Now()
		}
		timeout := c.opts.WriteTimeout
		if c.closed {
			timeout = closeGrace
		}
		c.mu.Unlock()
		c.changed.Broadcast()
		began := time.Now()
		err := c.send(batch, ping, pong, texts, began.Add(timeout))
		if batch != nil {
			c.size.sent(len(batch), time.Since(began))
			giveBack(batch)
		}
		c.mu.Lock()
		if err != nil {
			c.fail(err)
		}
	}
}

// send writes heartbeats first, so that a busy line does not look dead, and
// text messages before data, which may be long.
func (c *Conn) send(batch []byte, ping bool, pong []byte, texts [][]byte, deadline time.Time) error {
	if pong != nil {
		if err := c.ws.WriteControl(websocket.PongMessage, pong, deadline); err != nil {
			return err
		}
	}
	if ping {
		if err := c.ws.WriteControl(websocket.PingMessage, []byte(pingPayload), deadline); err != nil {
			return err
		}
	}
	if len(batch) == 0 && len(texts) == 0 {
		return nil
	}
	if err := c.ws.SetWriteDeadline(deadline); err != nil {
		return err
	}
	for _, raw := range texts {
		if err := c.ws.WriteMessage(websocket.TextMessage, raw); err != nil {
			return err
		}
		c.sent.Add(int64(len(raw)))
	}
	if len(batch) == 0 {
		return nil
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, batch); err != nil {
		return err
	}
	c.sent.Add(int64(len(batch)))
	return nil
}

// fail ends the connection after a message that could not be sent: the other
// end would miss a part of the stream. mu is held.
func (c *Conn) fail(err error) {
	c.err = fmt.Errorf("write websocket: %w", err)
	if c.cause == nil && !c.closed && !c.clean.Load() {
		c.cause = c.err
	}
	if c.pending != nil {
		giveBack(c.pending)
		c.pending = nil
	}
	c.closeSocket() // wakes the reader, which reports the end
}
