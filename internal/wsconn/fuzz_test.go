package wsconn_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sallyport/internal/wsconn"
)

// frame makes a frame of a client, as it goes over the wire. Its length is that
// of the payload, unless another one is claimed.
func frame(first byte, masked bool, payload []byte, claim ...uint64) []byte {
	length := uint64(len(payload))
	for _, other := range claim {
		length = other
	}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	raw := []byte{first}
	switch {
	case length < 126:
		raw = append(raw, mask|byte(length))
	case length < 1<<16:
		raw = binary.BigEndian.AppendUint16(append(raw, mask|126), uint16(length))
	default:
		raw = binary.BigEndian.AppendUint64(append(raw, mask|127), length)
	}
	if !masked {
		return append(raw, payload...)
	}
	key := []byte{0xa1, 0x02, 0x73, 0xf4}
	raw = append(raw, key...)
	for i, b := range payload {
		raw = append(raw, b^key[i%4])
	}
	return raw
}

// received is what a Conn may deliver of what a client sent.
type received struct {
	bytes []byte // of binary messages, as far as the protocol was kept to
	texts int
	valid bool // it was kept to until the end, which is not within a frame
}

// read parses frames by the letter of RFC 6455, section 5. What follows the
// first fault, or the close message, does not count.
func read(raw []byte) (r received) {
	const text, binaryMessage, closing = 1, 2, 8
	message := byte(0) // of what kind the message is that has begun; 0: none
	length := uint64(0)
	for len(raw) > 0 {
		if len(raw) < 2 {
			return r
		}
		final, opcode := raw[0]&0x80 != 0, raw[0]&0x0f
		size, at := uint64(raw[1]&0x7f), 2
		if raw[0]&0x70 != 0 || raw[1]&0x80 == 0 { // reserved bits, no mask
			return r
		}
		control := opcode >= 8
		switch {
		case opcode > binaryMessage && opcode < 8, opcode > 10,
			control && (!final || size > 125),
			opcode == 0 && message == 0, opcode > 0 && !control && message != 0:
			return r
		}
		if size >= 126 {
			wide := map[uint64]int{126: 2, 127: 8}[size]
			if len(raw) < at+wide {
				return r
			}
			size = 0
			for _, b := range raw[at : at+wide] {
				size = size<<8 | uint64(b)
			}
			at += wide
		}
		if len(raw) < at+4 {
			return r
		}
		key := raw[at : at+4]
		at += 4
		if !control && opcode != 0 {
			message, length = opcode, 0
		}
		if !control {
			if length += size; size > 1<<20 || length > 1<<20 { // longer than anybody sends
				return r
			}
		}
		payload := make([]byte, 0, 64)
		for i := uint64(0); i < size && at < len(raw); i++ {
			payload = append(payload, raw[at]^key[i%4])
			at++
		}
		if !control && message == binaryMessage {
			r.bytes = append(r.bytes, payload...)
		}
		if uint64(len(payload)) < size {
			return r
		}
		if opcode == closing {
			return r
		}
		if !control && final {
			if message == text {
				if length > wsconn.MaxText {
					return r
				}
				r.texts++
			}
			message = 0
		}
		raw = raw[at:]
	}
	r.valid = true
	return r
}

// FuzzFrames feeds a Conn with whatever bytes instead of frames.
func FuzzFrames(f *testing.F) {
	hello := []byte("hello, tunnel")
	long := bytes.Repeat(hello, 400)
	for _, frames := range [][][]byte{
		{frame(0x82, true, hello), frame(0x82, true, nil), frame(0x82, true, long)},
		{frame(0x02, true, hello), frame(0x89, true, []byte("ping")), frame(0x00, true, hello), frame(0x8a, true, nil), frame(0x80, true, hello)},
		{frame(0x02, true, hello), frame(0x82, true, hello)}, // a message within a message
		{frame(0x80, true, hello)},                                     // the continuation of none
		{frame(0x82, true, hello), frame(0x82, false, hello)},          // no mask
		{frame(0x82, true, hello), frame(0xc2, true, hello)},           // a reserved bit
		{frame(0x83, true, hello)},                                     // an opcode that is none
		{frame(0x8b, true, hello)},                                     // nor this
		{frame(0x09, true, hello)},                                     // a ping in pieces
		{frame(0x89, true, make([]byte, 126))},                         // a ping that is too long
		{frame(0x82, true, hello, 1<<63)},                              // a length that is negative
		{frame(0x82, true, hello, 1<<40)},                              // huge
		{frame(0x82, true, hello, 1<<62), frame(0x82, true, hello)},    // and more behind it
		{frame(0x02, true, hello), frame(0x80, true, hello, 1<<63-14)}, // two that overflow together
		{frame(0x81, true, []byte(`{"type":"drain"}`)), frame(0x82, true, hello)},
		{frame(0x81, true, bytes.Repeat([]byte("x"), 20<<10)), frame(0x82, true, hello)}, // a text that is too long
		{frame(0x82, true, hello), frame(0x88, true, []byte{0x03, 0xe9}), frame(0x82, true, hello)},
		{frame(0x88, true, []byte{0x03})},       // a close with half a code
		{frame(0x88, true, []byte{0xff, 0xff})}, // and with none that is
		{frame(0x82, true, hello)[:7]},
	} {
		f.Add(bytes.Join(frames, nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:min(len(raw), 64<<10)]
		want := read(raw)
		got, texts, err := deliver(t, raw)
		switch {
		case !bytes.HasPrefix(want.bytes, got):
			t.Errorf("%d bytes were delivered that were not sent, of %d", len(got), len(want.bytes))
		case want.valid && len(got) != len(want.bytes):
			t.Errorf("%d of %d bytes were delivered", len(got), len(want.bytes))
		case texts > want.texts, want.valid && texts != want.texts:
			t.Errorf("%d texts, %d were sent", texts, want.texts)
		case err == nil:
			t.Error("no error at the end")
		}
	})
}

// deliver sends raw bytes to a Conn, in the place of frames, and then goes
// away. It returns what the Conn made of them.
func deliver(t *testing.T, raw []byte) (got []byte, texts int, err error) {
	t.Helper()
	peer, end := net.Pipe()
	ended := make(chan struct{})
	// The peer reads whatever the Conn says, since a full line is not what is
	// tested, and writes the handshake and raw.
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, peer)
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(peer, "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		_, _ = peer.Write(raw)
		_ = peer.Close()
	}()
	ws, upgradeErr := upgradePipe(end)
	if upgradeErr != nil {
		t.Fatal(upgradeErr)
	}
	conn := wsconn.New(ws, wsconn.Options{OnText: func([]byte) error { texts++; return nil }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = io.ReadAll(conn)
		if err == nil && !conn.ClosedInOrder() {
			err = errors.New("ReadAll says that all is well")
		}
		if err == nil {
			err = io.EOF // in order
		}
		if _, again := conn.Read(make([]byte, 1)); again == nil {
			t.Error("a Read after the end has no error")
		}
		_ = conn.Close()
	}()
	for _, c := range []chan struct{}{done, sent, ended} {
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatal("it hangs")
		}
	}
	return got, texts, err
}

// upgradePipe answers the handshake of a websocket on a connection.
func upgradePipe(conn net.Conn) (*websocket.Conn, error) {
	buffered := bufio.NewReadWriter(bufio.NewReaderSize(conn, 512), bufio.NewWriter(conn))
	req, err := http.ReadRequest(buffered.Reader)
	if err != nil {
		return nil, err
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: wsconn.ServerWriteBuffer}
	return upgrader.Upgrade(hijackable{conn, buffered, http.Header{}}, req, nil)
}

// hijackable is the little of an HTTP server that an upgrade needs.
type hijackable struct {
	conn     net.Conn
	buffered *bufio.ReadWriter
	header   http.Header
}

func (h hijackable) Header() http.Header                          { return h.header }
func (h hijackable) Write(p []byte) (int, error)                  { return h.conn.Write(p) }
func (h hijackable) WriteHeader(int)                              {}
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.buffered, nil }
