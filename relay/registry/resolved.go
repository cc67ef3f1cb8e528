package registry

import (
	"sync"
	"time"

	"sallyport/relay/connection"
)

// resolvedFresh is how long a resolved connection is used again without a look
// at the store. A change by this relay counts at once; one by another relay on
// the same database within this time. Without it, every proxied request would
// begin with a query and the opening of secrets. It is short, too, because the
// secrets are in clear text.
const resolvedFresh = 2 * time.Second

// maxResolved bounds how many connections' secrets are held.
const maxResolved = 1024

// resolvedKey keeps workspaces apart: an id of another one is never found.
type resolvedKey struct{ workspaceID, id string }

type resolvedEntry struct {
	connection *connection.Connection // shared, and never changed
	until      time.Time
}

// resolvedCache holds connections that were resolved a moment ago.
type resolvedCache struct {
	mu      sync.Mutex // guards the following
	entries map[resolvedKey]resolvedEntry
	changes int // counts forget
}

// get is the connection, if it was resolved a moment ago. The number is for
// put.
func (c *resolvedCache) get(key resolvedKey, now time.Time) (*connection.Connection, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.entries[key]
	if !ok {
		return nil, c.changes
	}
	if !now.Before(found.until) {
		delete(c.entries, key)
		return nil, c.changes
	}
	return found.connection, c.changes
}

// put keeps a connection that was read after get had given the number. If
// anything changed meanwhile, what was read may be of the time before, and is
// not kept.
func (c *resolvedCache) put(key resolvedKey, value *connection.Connection, now time.Time, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number != c.changes {
		return
	}
	if c.entries == nil || len(c.entries) >= maxResolved {
		c.entries = make(map[resolvedKey]resolvedEntry)
	}
	c.entries[key] = resolvedEntry{connection: value, until: now.Add(resolvedFresh)}
}

// forget is for when a connection has changed.
func (c *resolvedCache) forget(key resolvedKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
	c.changes++
}
