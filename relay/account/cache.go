package account

import (
	"sync"
	"time"

	"sallyport/relay/store"
)

// tokenFresh is how long a token that was looked up is believed. A revocation
// by this process counts at once; one by another (the command line, a second
// relay) within this time. Without it, every proxied request would begin with
// a query.
const tokenFresh = 3 * time.Second

// maxTokens bounds the cache; far more tokens than this are not in use within
// three seconds.
const maxTokens = 4096

// tokenCache holds tokens that were looked up a moment ago, by their hash.
type tokenCache struct {
	mu      sync.Mutex // guards the following
	tokens  map[string]cachedToken
	forgets int // counts forgetAll
}

type cachedToken struct {
	token store.Token
	until time.Time
}

// get is the token of a hash, if it was looked up a moment ago. The number is
// for put.
func (c *tokenCache) get(hash []byte, now time.Time) (store.Token, int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.tokens[string(hash)]
	return found.token, c.forgets, ok && now.Before(found.until)
}

// put keeps a token that was looked up after get had given the number. If
// tokens were revoked meanwhile, the look-up may be of the time before, and is
// not kept.
func (c *tokenCache) put(hash []byte, t store.Token, now time.Time, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number != c.forgets {
		return
	}
	if c.tokens == nil || len(c.tokens) >= maxTokens {
		c.tokens = make(map[string]cachedToken)
	}
	c.tokens[string(hash)] = cachedToken{token: t, until: now.Add(tokenFresh)}
}

// forgetAll is for when a token was revoked.
func (c *tokenCache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = nil
	c.forgets++
}
