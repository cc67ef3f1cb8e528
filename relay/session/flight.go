package session

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// flight is a sign-in under way, and whoever asks meanwhile waits for it.
type flight struct {
	settings string // digest of the connection that is signed in
	done     chan struct{}

	// Set before done is closed, read after.
	held    *Held
	attempt *Attempt
	err     error
	next    time.Time // of a failure: when the next sign-in may begin

	replaced *Held // the session before, which is to be signed out
	dropped  bool  // the session is not kept
	refused  bool  // no sign-in was made: err says what for
}

// journey is what a sign-in needs to know.
type journey struct {
	rt        http.RoundTripper
	c         *connection.Connection
	requestID string
	reason    string
	mayLoad   bool   // a stored session will do
	staleID   string // but not this one
	code      *Code  // that a person has brought; nil: none
	ahead     bool   // the session still serves, and is to be replaced before it ends
	asked     bool   // by a person, who is not kept waiting after failures
}

// board joins the sign-in under way, or begins one, unless it has to wait
// after failures. k.mu is held.
func (k *Keeper) board(e *entry, settings string, j journey) (*flight, error) {
	if e.flight != nil {
		return e.flight, nil
	}
	if err := e.backoff.refuse(settings, j.c.Auth.Session.MostSignIns(), k.clock()); err != nil {
		return nil, err
	}
	return k.depart(e, settings, j)
}

// depart begins a sign-in. k.mu is held, and no flight is under way.
func (k *Keeper) depart(e *entry, settings string, j journey) (*flight, error) {
	if k.closed {
		return nil, &proto.Error{
			Code: proto.CodeCanceled, Outcome: proto.OutcomeNotSent,
			Detail: "The relay is stopping, so it did not sign in.", Hint: "Send the request again in a moment.",
		}
	}
	f := &flight{settings: settings, done: make(chan struct{})}
	e.flight = f
	drops := e.drops
	k.signIn.Go(func() { k.fly(e, f, j, drops) })
	return f, nil
}

const (
	// turnTime is how long a flight waits for a sign-in by another relay.
	turnTime = 2*signInTimeout + 2*turnDead
	// flightTime bounds the sign-in itself, with the first request of a chain.
	flightTime = 2*signInTimeout + 2*storeTimeout
)

// fly is the goroutine of a flight.
func (k *Keeper) fly(e *entry, f *flight, j journey, drops int) {
	ctx, cancel := context.WithTimeout(k.ctx, turnTime+flightTime)
	defer cancel()
	turn, err := k.takeTurn(ctx, key{j.c.WorkspaceID, j.c.ID}, e)
	if err != nil {
		f.err = road.Failure(ctx, err)
		k.crash(ctx, e, f, j)
		return
	}
	defer func() {
		k.mu.Lock()
		how := e.backoff
		k.mu.Unlock()
		turn.end(how)
	}()
	stored, former := k.load(ctx, j.c, f.settings)
	if j.mayLoad && stored != nil && stored.session.ID != j.staleID && stored.over(j.c.Auth.Session, k.clock()) == "" {
		k.land(e, f, drops, stored, nil)
		return
	}
	how := order{rt: j.rt, c: j.c, requestID: j.requestID, former: former, code: j.code, clock: k.clock}
	if !how.hopeless() { // which asks nobody, and so counts for nothing
		if f.err = k.begin(e, f, j); f.err != nil {
			f.refused = true
			k.crash(ctx, e, f, j)
			return
		}
	}
	if f.attempt, f.err = how.attempt(ctx); f.err != nil {
		k.crash(ctx, e, f, j)
		return
	}
	f.attempt.Session = k.newSession(j.c, f.attempt, f.settings, j.reason, former)
	h := hold(j.c, f.attempt.Session, f.attempt.Jar)
	k.log.Info("signed in", zap.String("connection", j.c.ID), zap.String("session", h.session.ID),
		zap.String("request_id", j.requestID), zap.String("reason", j.reason))
	if f.attempt.Token != nil {
		k.keepToken(ctx, e, h, drops)
	}
	k.land(e, f, drops, h, stored)
	if f.dropped {
		k.retire(j.c, h, "the connection was changed or signed out meanwhile")
	} else {
		k.supersede(j.c, f.replaced, "another session took its place")
	}
}

// begin counts a sign-in, unless other relays know of a reason not to make it.
func (k *Keeper) begin(e *entry, f *flight, j journey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock()
	if err := e.backoff.refuse(f.settings, j.c.Auth.Session.MostSignIns(), now); err != nil && !j.asked {
		return err
	}
	e.backoff.count(now)
	return nil
}

// land ends a flight that brought a session. before is the session in whose
// place it comes, as it is stored.
func (k *Keeper) land(e *entry, f *flight, drops int, h, before *Held) {
	f.held = h
	k.mu.Lock()
	keep := e.drops == drops
	f.dropped = !keep
	if keep {
		if e.refusals == nil {
			e.refusals = &refusals{}
		}
		h.refusals = e.refusals
		if held := e.held; held != nil && before != nil && held.session.ID == before.session.ID {
			before = held // its cookies may be newer
		}
		f.replaced = before
		e.held = h
		if f.attempt != nil {
			e.backoff.succeed()
		}
	}
	k.mu.Unlock()
	if keep && f.attempt != nil {
		if err := k.save(k.ctx, h); err != nil {
			// It is good for as long as this relay runs.
			k.log.Error("session can't be stored", zap.String("connection", h.session.ConnectionID), zap.Error(err))
		}
	}
	k.mu.Lock()
	e.flight = nil
	k.mu.Unlock()
	close(f.done)
	k.changed(h.workspaceID, h.session.ConnectionID)
}

// crash ends a flight that failed.
func (k *Keeper) crash(ctx context.Context, e *entry, f *flight, j journey) {
	var refused *Failed
	answered := !f.refused && errors.As(f.err, &refused)
	k.log.Info("sign-in failed", zap.String("connection", j.c.ID), zap.String("request_id", j.requestID),
		zap.String("reason", j.reason), zap.String("failure", failureName(f.err)))
	if answered && !j.ahead && refused.ends(j) {
		// What is stored was refused by the application, and nothing replaces it.
		if err := k.store.DeleteSession(ctx, j.c.WorkspaceID, j.c.ID); err != nil {
			k.log.Warn("session can't be deleted", zap.String("connection", j.c.ID), zap.Error(err))
		}
	}
	k.mu.Lock()
	if answered && refused.Why == NeedsPerson && !j.ahead {
		e.held = nil // nothing was sent that could lock an account, and nothing will be
	} else if answered {
		e.backoff.fail(f.settings, refused, k.clock())
		f.next = e.backoff.Next
	}
	e.flight = nil
	k.mu.Unlock()
	close(f.done)
	k.changed(j.c.WorkspaceID, j.c.ID)
}

// wait waits for the flight's end, or until its caller leaves. The flight goes
// on without him.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return road.Failure(ctx, ctx.Err())
	}
}

// told is the flight's failure as a sender of requests is told of it.
func (k *Keeper) told(f *flight) error {
	if f.err == nil || f.refused {
		return f.err
	}
	return k.callersError(f.err, f.next)
}

func (k *Keeper) newSession(c *connection.Connection, a *Attempt, settings, reason string, former *Session) Session {
	now := k.clock().UTC()
	lines, _ := a.Jar.lines()
	s := Session{
		ID: k.newID(), ConnectionID: c.ID, CreatedAt: now, LastUsedAt: now,
		SignIns: 1, Reason: reason, Cookies: lines, Token: a.Token, Settings: settings,
		Values: a.values, ByValue: len(a.values) > 0 && !a.Jar.live(sources(c.Auth.Cookie)...),
	}
	if former != nil {
		s.SignIns += former.SignIns
	}
	return s
}

// failureName is what a log says of a failed sign-in: never an answer's text.
func failureName(err error) string {
	var f *Failed
	if errors.As(err, &f) {
		return string(f.Why)
	}
	if e := proto.AsError(err); e != nil {
		return string(e.Code)
	}
	return "unknown"
}
