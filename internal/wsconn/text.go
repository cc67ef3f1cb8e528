package wsconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// WriteBuffers is the pool that websockets are made with, at both ends, so that
// an idle connection holds no buffer. All of one pool have one WriteBufferSize.
type WriteBuffers struct{ pool sync.Pool }

// Get lends a buffer; see websocket.BufferPool.
func (w *WriteBuffers) Get() any { return w.pool.Get() }

// Put takes a buffer back.
func (w *WriteBuffers) Put(b any) { w.pool.Put(b) }

// ReadText reads one text message of at most limit bytes, for a handshake
// before New. It fails at the deadline.
func ReadText(ws *websocket.Conn, limit int64, deadline time.Time) ([]byte, error) {
	ws.SetReadLimit(limit)
	if err := ws.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("read handshake: %w", err)
	}
	kind, r, err := ws.NextReader()
	if err != nil {
		return nil, fmt.Errorf("read handshake: %w", err)
	}
	if kind != websocket.TextMessage {
		return nil, errors.New("read handshake: binary message where a text message was expected")
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read handshake: %w", err)
	}
	return raw, ws.SetReadDeadline(time.Time{})
}

// WriteText writes one text message, for a handshake before New.
func WriteText(ws *websocket.Conn, raw []byte, deadline time.Time) error {
	if err := ws.SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("write handshake: %w", err)
	}
	if err := ws.WriteMessage(websocket.TextMessage, raw); err != nil {
		return fmt.Errorf("write handshake: %w", err)
	}
	return nil
}

// maxTexts is how many text messages may wait to be sent. They are few and
// short; a line on which they pile up is about to be given up.
const maxTexts = 64

// ErrTextsPending: the other end has not taken the text messages before.
var ErrTextsPending = errors.New("too many text messages are waiting to be sent")

// SendText sends a text message, ahead of data that is waiting. It does not
// block, and owns raw from now on. That it failed later, Read and Write say.
func (c *Conn) SendText(raw []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.closed:
		return net.ErrClosed
	case len(c.texts) == maxTexts:
		return ErrTextsPending
	}
	c.texts = append(c.texts, raw)
	c.startFlush()
	return nil
}

// SendTextAlone sends a text message if no data is waiting to be sent: all that
// was written before is ahead of it then. It reports whether that is so.
func (c *Conn) SendTextAlone(raw []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.closed || c.pending != nil || len(c.texts) >= maxTexts {
		return false
	}
	c.texts = append(c.texts, raw)
	c.startFlush()
	return true
}

// takeText reads a text message and hands it on.
func (c *Conn) takeText(r io.Reader) error {
	if c.opts.OnText == nil {
		return errors.New("text message where binary ones were expected")
	}
	raw, err := io.ReadAll(io.LimitReader(r, MaxText+1))
	switch {
	case err != nil:
		return err
	case len(raw) > MaxText:
		return fmt.Errorf("text message of more than %d bytes", MaxText)
	}
	c.received.Add(int64(len(raw)))
	c.touch()
	return c.opts.OnText(raw)
}
