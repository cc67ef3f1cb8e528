package gateway

import (
	"context"

	"sallyport/relay/result"
)

// Results keep what became of requests that have an idempotency key, for
// result.Kept, and for all relays of a database. Package registry implements it.
type Results interface {
	// BeginResult enters a request under its key. It returns nil where nobody
	// has before; otherwise what is known of that request.
	BeginResult(ctx context.Context, key result.Key) (*result.Known, error)
	// KeepResult stores the result of a request that was entered here.
	KeepResult(ctx context.Context, key result.Key, r result.Result) error
	// FreeResult forgets one that came to nothing: the key may be used again.
	FreeResult(ctx context.Context, key result.Key) error
}

// resultLimit is the longest body of an answer that is kept, in bytes.
const resultLimit = 1 << 20
