package gateway

import (
	"strconv"
	"sync"
	"time"
)

// Entry is what is kept of a request through a connection, for people who look
// what happened lately: no header, no body, and of the URI the path alone, since
// a query may hold what is secret.
type Entry struct {
	number       int64 // counts the workspace's requests
	At           time.Time
	RequestID    string
	ConnectionID string
	Connection   string // its name then
	Caller       Caller
	Method, Path string
	Status       int    // of the application; 0: it did not answer
	Code         string // of the error that was answered in its place; "": none
	Took         time.Duration
	Complete     bool // the caller got all of the answer
}

// Failed reports whether the caller did not get what he asked for.
func (e Entry) Failed() bool { return e.Code != "" || e.Status >= 400 || !e.Complete }

const (
	// journalEntries is how many requests are kept of each workspace. They are
	// in memory alone: a write to the database for each would cost more than the
	// requests themselves.
	journalEntries = 2000
	// journalPath is how much of a path is kept, in bytes.
	journalPath = 200
)

// Journal keeps the last requests of this relay. The zero value is ready.
type Journal struct {
	mu         sync.Mutex // guards the following
	workspaces map[string]*journalRing
}

type journalRing struct {
	entries []Entry // at number % journalEntries
	next    int64
}

func (j *Journal) add(workspaceID string, e Entry) {
	if len(e.Path) > journalPath {
		e.Path = e.Path[:journalPath] + "…"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.workspaces == nil {
		j.workspaces = map[string]*journalRing{}
	}
	ring := j.workspaces[workspaceID]
	if ring == nil {
		ring = &journalRing{}
		j.workspaces[workspaceID] = ring
	}
	e.number = ring.next
	if len(ring.entries) < journalEntries {
		ring.entries = append(ring.entries, e)
	} else {
		ring.entries[e.number%journalEntries] = e
	}
	ring.next++
}

// Wanted says which entries of a workspace are asked for.
type Wanted struct {
	ConnectionID string // "": of all
	Failed       bool   // only those
	Limit        int
	Cursor       string // as the part before gave it
}

// List lists entries, newest first, and where the next part begins; "" where
// there is none.
func (j *Journal) List(workspaceID string, w Wanted) (found []Entry, next string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ring := j.workspaces[workspaceID]
	if ring == nil {
		return nil, ""
	}
	at := ring.next - 1
	if before, err := strconv.ParseInt(w.Cursor, 10, 64); err == nil {
		at = min(at, before-1)
	}
	for ; at >= 0 && at >= ring.next-int64(len(ring.entries)); at-- {
		e := ring.entries[at%journalEntries]
		if w.ConnectionID != "" && e.ConnectionID != w.ConnectionID || w.Failed && !e.Failed() {
			continue
		}
		if len(found) == w.Limit {
			return found, strconv.FormatInt(found[len(found)-1].number, 10)
		}
		found = append(found, e)
	}
	return found, ""
}
