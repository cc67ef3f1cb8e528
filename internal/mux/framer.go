package mux

import (
	"encoding/binary"

	"sallyport/internal/wsconn"
)

// headerSize is the length of a yamux frame's header: version, type, 2 bytes
// of flags, 4 of stream id, 4 of length, big endian.
const headerSize = 12

// typeData is the type of a frame whose length is that of the body behind it.
const typeData = 0

// framer is what yamux reads from and writes to. yamux writes the header of a
// frame and its body one after the other, from one goroutine; the header of a
// frame that has a body is held back until the body is there, so that the two
// never travel apart.
type framer struct {
	*wsconn.Conn
	body bool // the next Write is the body of the header that is held back
}

func (f *framer) Write(p []byte) (int, error) {
	f.body = !f.body && len(p) == headerSize && p[1] == typeData && binary.BigEndian.Uint32(p[8:]) > 0
	if f.body {
		return f.WriteHeld(p)
	}
	return f.Conn.Write(p)
}
