package session

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// Options of a Keeper. Store, NewID and Log are required.
type Options struct {
	// Store keeps sessions. Where it also has the methods of Turns, Keepers that
	// share it sign in one at a time; where it has those of Ending, sessions are
	// ended that nobody uses.
	Store Store
	// Roads lead to the applications that are to be told of a sign-out, and of
	// a sign-in that nobody waits for. nil: none is told.
	Roads Roads
	// Changed is told of connections whose session has changed; may be nil.
	Changed func(workspaceID, connectionID string)
	NewID   func() string // of sessions
	Clock   func() time.Time
	Log     *zap.Logger
}

// Roads finds the road of a connection. *road.Roads implements it.
type Roads interface {
	For(c *connection.Connection) http.RoundTripper
}

// Keeper keeps the session of every connection: in memory while it is used,
// in the store for the next start. It signs in where there is none, once for
// however many requests wait for it.
type Keeper struct {
	store   Store
	turns   Turns  // nil: this Keeper is alone
	ending  Ending // nil: sessions that are over are ended when they are asked for
	roads   Roads
	changed func(workspaceID, connectionID string)
	newID   func() string
	clock   func() time.Time
	log     *zap.Logger

	// Sign-ins outlive the requests that began them, since others wait for
	// them too; Close ends them.
	ctx    context.Context
	cancel context.CancelFunc
	signIn sync.WaitGroup

	mu      sync.Mutex // guards the following, and what is in an entry
	entries map[key]*entry
	closed  bool
	swept   time.Time
}

type key struct{ workspaceID, connectionID string }

// entry is what the Keeper knows of one connection.
type entry struct {
	held     *Held   // nil: not loaded yet, or none
	flight   *flight // nil: no sign-in is under way
	backoff  backoff
	refusals *refusals // nil until the first session
	drops    int       // counts Drop, so that a sign-in begun before one is not kept
	used     time.Time // when last asked for
	ahead    time.Time // when a session was last renewed before its end

	saving sync.Mutex // held while the store is written, so that an older state can't overtake
}

// NewKeeper returns a Keeper; Close it.
func NewKeeper(o Options) *Keeper {
	k := &Keeper{store: o.Store, roads: o.Roads, changed: o.Changed, newID: o.NewID, clock: o.Clock, log: o.Log, entries: make(map[key]*entry)}
	k.turns, _ = o.Store.(Turns)
	k.ending, _ = o.Store.(Ending)
	if k.changed == nil {
		k.changed = func(string, string) {}
	}
	if k.clock == nil {
		k.clock = time.Now
	}
	if k.log == nil {
		k.log = zap.NewNop()
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	if k.ending != nil {
		k.signIn.Go(k.attend)
	}
	return k
}

// Close ends sign-ins under way and waits for them.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.signIn.Wait()
}

// Current returns the connection's session: the one that is held or stored, or
// that of one sign-in for all who ask meanwhile. A connection that needs no
// sign-in gets an empty jar that keeps nothing.
//
// Where the road's far end is away (road.Patient), each caller waits for it
// before he asks for a sign-in: how long is his own, and the sign-in is not to
// spend its time on that.
//
// The error is the road's *proto.Error where the application could not be
// asked, and a *proto.Error with sign_in_failed where it refused, or where it
// refused lately and is not asked again yet.
func (k *Keeper) Current(ctx context.Context, rt http.RoundTripper, c *connection.Connection, requestID string) (*Held, error) {
	if !c.Auth.Type.SignsIn() {
		return &Held{}, nil
	}
	if c.ID == "" {
		return k.unsaved(ctx, rt, c, requestID)
	}
	settings := digest(c)
	awaited := false
	for {
		k.mu.Lock()
		e := k.entryLocked(key{c.WorkspaceID, c.ID})
		j := journey{rt: rt, c: c, requestID: requestID, reason: "the connection had no session", mayLoad: true}
		if h := e.held; h != nil && h.session.Settings == settings {
			now := k.clock()
			over := h.over(c.Auth.Session, now)
			if over == "" {
				h.life.Store(c.Auth.Session)
				if h.endsSoon(c, now) {
					k.renewAhead(e, h, settings, j)
				}
				k.mu.Unlock()
				return h, nil
			}
			j.reason = over
			if h.spent(c.Auth.Session, now) != "" {
				j.staleID = h.session.ID // what is stored of it may not know yet that it ends
			} // else it is idle here: what is stored knows of other relays that use it
		}
		if !awaited {
			k.mu.Unlock()
			if err := road.Await(ctx, rt); err != nil {
				return nil, err
			}
			awaited = true
			continue
		}
		f, err := k.board(e, settings, j)
		k.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
		if f.settings == settings {
			return f.held, k.told(f)
		}
	}
}

// Renew returns a session in the place of one that the application no longer
// accepts: one sign-in however many callers held it. Where another has signed
// in meanwhile, that session is returned. The reason is for a person.
func (k *Keeper) Renew(ctx context.Context, rt http.RoundTripper, c *connection.Connection, stale *Held, requestID, reason string) (*Held, error) {
	if !c.Auth.Type.SignsIn() {
		return stale, nil
	}
	if c.ID == "" {
		return k.unsaved(ctx, rt, c, requestID)
	}
	settings := digest(c)
	for {
		k.mu.Lock()
		e := k.entryLocked(key{c.WorkspaceID, c.ID})
		if e.held != nil && e.held != stale && e.held.session.ID != stale.session.ID && e.held.session.Settings == settings {
			h := e.held
			k.mu.Unlock()
			return h, nil
		}
		if e.held == stale {
			e.held = nil
		}
		f, err := k.board(e, settings, journey{rt: rt, c: c, requestID: requestID, reason: reason, mayLoad: true, staleID: stale.session.ID})
		k.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
		if f.settings == settings {
			return f.held, k.told(f)
		}
	}
}

// SignIn signs in afresh, whatever session there is and however often it has
// failed: a person asks for it. Where the connection has been saved, the
// session is kept and stored in the place of the former; a failed sign-in
// leaves that as it is. One sign-in at a time: it waits for one under way.
//
// The Attempt is returned with every error of the sign-in itself.
func (k *Keeper) SignIn(ctx context.Context, rt http.RoundTripper, c *connection.Connection, requestID, reason string) (*Attempt, error) {
	if c.ID == "" {
		a, err := order{rt: rt, c: c, requestID: requestID, clock: k.clock}.attempt(ctx)
		if err == nil {
			a.Session = k.newSession(c, a, digest(c), reason, nil)
		}
		return a, err
	}
	return k.signInNow(ctx, journey{rt: rt, c: c, requestID: requestID, reason: reason, asked: true})
}

// signInNow signs in, whatever there is. One sign-in at a time: it waits for one
// under way.
func (k *Keeper) signInNow(ctx context.Context, j journey) (*Attempt, error) {
	c, settings := j.c, digest(j.c)
	for {
		k.mu.Lock()
		e := k.entryLocked(key{c.WorkspaceID, c.ID})
		before := e.flight
		var mine *flight
		var err error
		if before == nil {
			mine, err = k.depart(e, settings, j)
		}
		k.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if mine == nil {
			if err := before.wait(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err := mine.wait(ctx); err != nil {
			return nil, err
		}
		return mine.attempt, mine.err
	}
}

// unsaved signs in for a connection that is not on file: nothing is kept.
func (k *Keeper) unsaved(ctx context.Context, rt http.RoundTripper, c *connection.Connection, requestID string) (*Held, error) {
	a, err := order{rt: rt, c: c, requestID: requestID, clock: k.clock}.attempt(ctx)
	if err != nil {
		return nil, k.callersError(err, time.Time{})
	}
	h := &Held{Jar: a.Jar, session: Session{Token: a.Token}}
	if len(a.values) > 0 {
		h.values.Store(&a.values)
	}
	return h, nil
}

// Discard signs a session out that was made by SignIn for a connection that is
// not on file; nobody waits for that. Other sessions are kept.
func (k *Keeper) Discard(c *connection.Connection, a *Attempt) {
	if c.ID != "" || a == nil || a.Session.ID == "" {
		return
	}
	k.supersede(c, hold(c, a.Session, a.Jar), "the connection was only tested")
}

// Stored is the connection's session as it is now, ErrNone where it has none.
func (k *Keeper) Stored(ctx context.Context, workspaceID, connectionID string) (Session, error) {
	s, err := k.store.LoadSession(ctx, workspaceID, connectionID)
	if err != nil {
		return Session{}, err
	}
	k.mu.Lock()
	e := k.entries[key{workspaceID, connectionID}]
	var h *Held
	if e != nil {
		h = e.held
	}
	k.mu.Unlock()
	if h != nil && h.session.ID == s.ID {
		s, _ = h.snapshot()
	}
	return s, nil
}

// Drop forgets the connection's session, also in the store, and that sign-ins
// have failed. The application is told, where the connection says how; nobody
// waits for that.
func (k *Keeper) Drop(ctx context.Context, d Dropped) error {
	k.mu.Lock()
	e := k.entryLocked(key{d.WorkspaceID, d.ConnectionID})
	last := e.held
	e.held, e.backoff = nil, backoff{}
	e.drops++
	k.mu.Unlock()
	e.saving.Lock()
	defer e.saving.Unlock()
	if d.Connection != nil {
		settings := digest(d.Connection)
		if d.Session != nil && d.Session.Settings == settings && (last == nil || last.session.ID != d.Session.ID) { // another relay's
			last = hold(d.Connection, *d.Session, restore(d.Session.Cookies, k.clock))
		}
		if last != nil && last.session.Settings == settings {
			k.retire(d.Connection, last, "the session was dropped")
		}
	}
	if k.turns != nil {
		if err := k.turns.ForgetTurns(ctx, d.WorkspaceID, d.ConnectionID); err != nil {
			return err
		}
	}
	return k.store.DeleteSession(ctx, d.WorkspaceID, d.ConnectionID)
}

// State tells whether the connection's sign-in fails.
func (k *Keeper) State(workspaceID, connectionID string) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entries[key{workspaceID, connectionID}]; e != nil {
		return e.backoff.state(k.clock())
	}
	return State{}
}

// renewAhead begins a sign-in for which nobody waits, unless one is under way or
// has to wait. k.mu is held.
func (k *Keeper) renewAhead(e *entry, h *Held, settings string, j journey) {
	now := k.clock()
	if e.flight != nil || now.Sub(e.ahead) < aheadEvery || e.backoff.refuse(settings, j.c.Auth.Session.MostSignIns(), now) != nil {
		return
	}
	e.ahead = now
	j.staleID, j.ahead, j.reason = h.session.ID, true, "the session was about to end"
	// An error means that the relay is stopping.
	_, _ = k.depart(e, settings, j)
}

// aheadEvery is how often at most a session is renewed before its end: where
// that does not succeed, it serves until then.
const aheadEvery = 10 * time.Second

// StateOf is State with what other relays know of the connection's sign-ins.
func (k *Keeper) StateOf(ctx context.Context, workspaceID, connectionID string) (State, error) {
	if k.turns == nil {
		return k.State(workspaceID, connectionID), nil
	}
	turn, err := k.turns.LastTurn(ctx, workspaceID, connectionID)
	if err != nil {
		return State{}, err
	}
	if turn.State != "" {
		k.learn(k.entry(workspaceID, connectionID), turn.State)
	}
	return k.State(workspaceID, connectionID), nil
}

func (k *Keeper) entry(workspaceID, connectionID string) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entryLocked(key{workspaceID, connectionID})
}

// idle is how long a connection that nobody uses is kept in memory.
const idle = time.Hour

func (k *Keeper) entryLocked(at key) *entry {
	now := k.clock()
	e := k.entries[at]
	if e == nil {
		if now.Sub(k.swept) > idle {
			k.swept = now
			for other, e := range k.entries {
				// What fails is kept: forgetting it would lift the back-off.
				if e.flight == nil && e.backoff.Failures == 0 && now.Sub(e.used) > idle {
					delete(k.entries, other)
				}
			}
		}
		e = &entry{}
		k.entries[at] = e
	}
	e.used = now
	return e
}

func (k *Keeper) current(e *entry) *Held {
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.held
}

func isNone(err error) bool { return errors.Is(err, ErrNone) }
