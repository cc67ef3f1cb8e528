package store

import (
	"encoding/base32"
	"strings"

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
