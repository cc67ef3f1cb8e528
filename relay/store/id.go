package store

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"github.com/google/uuid"
)

// sortable keeps the order of the bytes that it writes (RFC 4648, section 7).
var sortable = base32.HexEncoding.WithPadding(base32.NoPadding)

// NewID makes an id such as con_0pc7k0e0…: the prefix says what it is of, the
// rest is a UUID version 7, so that ids sort by the time at which they were
// made, within one process even in the order in which they were made.
func NewID(prefix string) string {
	// It fails only where the system has no randomness, which crypto/rand
	// answers by ending the process.
	id := uuid.Must(uuid.NewV7())
	return prefix + "_" + strings.ToLower(sortable.EncodeToString(id[:]))
}

// NewIDAt makes an id that sorts among those which were made at the time.
func NewIDAt(prefix string, at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte // a UUID of version 7 begins with 48 bits of them (RFC 9562, section 5.7)
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	return prefix + "_" + strings.ToLower(sortable.EncodeToString(id[:]))
}
