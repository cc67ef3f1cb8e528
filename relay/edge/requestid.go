package edge

import (
	"context"
	"crypto/rand"
	"encoding/base32"
)

type idKey struct{}

// RequestID is the id under which the request of ctx is logged, and which its
// answer carries as X-Request-Id. Empty outside of a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// longestID bounds an id from outside: what is longer is no id, and would only
// fill the logs.
const longestID = 64

// acceptedID is the id that a caller chose, where it can be one: letters,
// digits and -_.:/+= of a sensible length. Anything else could forge log lines.
func acceptedID(id string) string {
	if len(id) == 0 || len(id) > longestID {
		return ""
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return ""
		}
	}
	return id
}

// NewRequestID is a fresh id, for requests of the relay's own.
func NewRequestID() string { return newID() }

// newID is a fresh id of 80 random bits: enough that two requests of a year's
// logs don't share one.
func newID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return base32.StdEncoding.EncodeToString(b[:])
}
