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
	users       atomic.Int64  // requests that use it now
	refusals    *refusals     // of the connection; nil: it has not been saved

	values   atomic.Pointer[map[string]string] // of the sign-in; nil: none
	followed atomic.Uint64                     // counts changes of values
	life     atomic.Pointer[connection.SessionLife]
}

// ID is the session's id, "" where there is none: the connection needs no
// sign-in, or has not been saved.
func (h *Held) ID() string { return h.session.ID }

// CreatedAt is when the session was signed in.
func (h *Held) CreatedAt() time.Time { return h.session.CreatedAt }

// snapshot is the session as it is now.
func (h *Held) snapshot() (Session, uint64) {
	s := h.session
	followed := h.followed.Load()
	if values := h.values.Load(); values != nil {
		s.Values = *values
	}
	lines, version := h.Jar.lines()
	s.Cookies = lines
	s.LastUsedAt = time.Unix(0, h.lastUsed.Load()).UTC()
	s.EndsAt = h.endsAt()
	return s, version + followed
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
	last := h.lastSaved.Load()
	changed := h.version() != h.saved.Load()
	if !changed && now.UnixNano()-last < int64(saveEvery) {
		return nil
	}
	if !h.lastSaved.CompareAndSwap(last, now.UnixNano()) && !changed {
		return nil // someone else is writing it
	}
	return k.save(ctx, h)
}

// Keep writes a session down where an answer changed it. It is for requests that
// are no use of it, such as the relay's own pings: they don't keep a session from
// being idle.
func (k *Keeper) Keep(ctx context.Context, h *Held) error {
	if h.session.ID == "" || h.version() == h.saved.Load() {
		return nil
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

// hold makes a Held of a session of c and the jar that belongs to it.
func hold(c *connection.Connection, s Session, j *Jar) *Held {
	h := &Held{Jar: j, session: s, workspaceID: c.WorkspaceID}
	if len(s.Values) > 0 {
		h.values.Store(&s.Values)
	}
	h.life.Store(c.Auth.Session)
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
	h := hold(c, fits, restore(s.Cookies, k.clock))
	if !h.live(k.clock()) {
		return nil, former
	}
	return h, former
}
