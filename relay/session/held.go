package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
)

// Held is a session in use. Many requests hold the same one at a time.
type Held struct {
	// Jar gives the cookies of requests and takes those of answers.
	Jar *Jar

	session     Session // as it was signed in or loaded; its Cookies may be behind the jar's
	workspaceID string
	saved       atomic.Uint64 // version of the jar that the store has
	lastUsed    atomic.Int64  // Unix nanoseconds
	lastSaved   atomic.Int64  // Unix nanoseconds
	unaccepted  atomic.Int64  // Unix nanoseconds; 0: never
}

// ID is the session's id, "" where there is none: the connection needs no
// sign-in, or has not been saved.
func (h *Held) ID() string { return h.session.ID }

// CreatedAt is when the session was signed in.
func (h *Held) CreatedAt() time.Time { return h.session.CreatedAt }

// snapshot is the session as it is now.
func (h *Held) snapshot() (Session, uint64) {
	s := h.session
	lines, version := h.Jar.lines()
	s.Cookies = lines
	s.LastUsedAt = time.Unix(0, h.lastUsed.Load()).UTC()
	return s, version
}

// saveEvery is how often a session is written for no more than having been
// used, or having had its life extended, which some applications do with each
// answer.
const saveEvery = time.Minute

// storeTimeout bounds a write for which a request waits.
const storeTimeout = 5 * time.Second

// Store notes that a session was used just now, and writes it down where it
// has to be: at once where an answer changed its cookies, otherwise not more
// than once a minute. The session stays usable where writing fails.
func (k *Keeper) Store(ctx context.Context, h *Held) error {
	if h.session.ID == "" {
		return nil
	}
	now := k.clock()
	h.lastUsed.Store(now.UnixNano())
	version, _ := h.Jar.changes()
	last := h.lastSaved.Load()
	changed := version != h.saved.Load()
	if !changed && now.UnixNano()-last < int64(saveEvery) {
		return nil
	}
	if !h.lastSaved.CompareAndSwap(last, now.UnixNano()) && !changed {
		return nil // someone else is writing it
	}
	return k.save(ctx, h)
}

// save writes h, unless another session has taken its place meanwhile. The
// caller may have left; what the application said is kept all the same.
func (k *Keeper) save(ctx context.Context, h *Held) error {
	e := k.entry(h.workspaceID, h.session.ConnectionID)
	e.saving.Lock()
	defer e.saving.Unlock()
	if k.current(e) != h {
		return nil
	}
	s, version := h.snapshot()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := k.store.SaveSession(ctx, h.workspaceID, s); err != nil {
		return fmt.Errorf("save session %s: %w", s.ID, err)
	}
	h.saved.Store(version)
	h.lastSaved.Store(k.clock().UnixNano())
	return nil
}

// hold makes a Held of a session and the jar that belongs to it.
func hold(workspaceID string, s Session, j *Jar) *Held {
	h := &Held{Jar: j, session: s, workspaceID: workspaceID}
	h.lastUsed.Store(s.LastUsedAt.UnixNano())
	h.lastSaved.Store(s.LastUsedAt.UnixNano())
	return h
}

// load takes a stored session into use, nil where there is none that fits. former
// is what the store has, whether or not it fits.
func (k *Keeper) load(ctx context.Context, c *connection.Connection, settings string) (held *Held, former *Session) {
	s, err := k.store.LoadSession(ctx, c.WorkspaceID, c.ID)
	if err != nil {
		if !isNone(err) {
			// A sign-in makes good for a session that can't be read.
			k.log.Warn("stored session can't be read", zap.String("connection", c.ID), zap.Error(err))
		}
		return nil, nil
	}
	if s.Settings != "" && s.Settings != settings {
		return nil, &s
	}
	former = &s
	fits := s
	fits.Settings = settings
	h := hold(c.WorkspaceID, fits, restore(s.Cookies, k.clock))
	if !h.live(k.clock()) {
		return nil, former
	}
	return h, former
}

// renewEvery is how often at most a session is renewed that the application
// did not accept right after its sign-in. Some applications answer 401 to what
// an account may not do; without this, each such request would sign in anew.
const renewEvery = time.Minute

// Unaccepted notes that the application refused a request with the session
// although it had just been signed in.
func (h *Held) Unaccepted() { h.unaccepted.Store(h.Jar.clock().UnixNano()) }

// Renewable reports whether another sign-in may help.
func (h *Held) Renewable() bool {
	at := h.unaccepted.Load()
	return at == 0 || h.Jar.clock().UnixNano()-at >= int64(renewEvery)
}
