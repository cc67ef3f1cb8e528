package wsconn

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// WriteBuffers is the pool that websockets are made with, at both ends. Its
// buffers fit MaxMessage; an idle connection holds none.
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
