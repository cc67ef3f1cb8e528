// Package result is what became of requests that have an idempotency key.
// Package gateway sends them and makes results; package registry keeps them.
package result

import (
	"bytes"
	"net/http"
	"time"

	"sallyport/proto"
)

// Kept is how long the result of a request with an idempotency key is kept.
const Kept = 24 * time.Hour

// Key is whose result it is.
type Key struct {
	WorkspaceID, ConnectionID string
	Caller                    string // kind and id
	Key                       string // as the caller chose it
}

// Known is what is known of the first request of a key.
type Known struct {
	Running bool    // another relay sends it now
	Result  *Result // nil, unless Running: the relay that sent it stopped before its end
}

// Result is what became of a request: the application's answer, or an error.
type Result struct {
	Request  Fingerprint  `json:"request"`
	At       time.Time    `json:"at"`
	Status   int          `json:"status,omitempty"`
	Header   http.Header  `json:"header,omitempty"` // what of it is passed on
	Trailer  http.Header  `json:"trailer,omitempty"`
	Body     []byte       `json:"body,omitempty"`
	TooLarge bool         `json:"tooLarge,omitempty"` // the body is not kept
	Error    *proto.Error `json:"error,omitempty"`    // in place of an answer
}

// Fingerprint tells requests apart.
type Fingerprint struct {
	Method string `json:"method"`
	Target string `json:"target"`         // path and query, as the caller sent them
	Body   []byte `json:"body,omitempty"` // its SHA-256; nil: it was not read to its end
}

// Matches reports whether a repeated request is the same as the first. A body
// of which the first had not been read to its end can't be compared.
func (f Fingerprint) Matches(first Fingerprint) bool {
	return f.Method == first.Method && f.Target == first.Target && (first.Body == nil || bytes.Equal(f.Body, first.Body))
}
