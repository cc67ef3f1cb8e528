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
}

// board joins the sign-in under way, or begins one, unless it has to wait
// after failures. k.mu is held.
func (k *Keeper) board(e *entry, settings string, j journey) (*flight, error) {
	if e.flight != nil {
		return e.flight, nil
	}
	if err := e.backoff.refuse(settings, k.clock()); err != nil {
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

// fly is the goroutine of a flight.
func (k *Keeper) fly(e *entry, f *flight, j journey, drops int) {
	ctx, cancel := context.WithTimeout(k.ctx, signInTimeout+2*storeTimeout)
	defer cancel()
	stored, former := k.load(ctx, j.c, f.settings)
	if j.mayLoad && stored != nil && stored.session.ID != j.staleID {
		k.land(e, f, drops, stored)
		return
	}
	f.attempt, f.err = order{rt: j.rt, c: j.c, requestID: j.requestID, former: former, code: j.code, clock: k.clock}.attempt(ctx)
	if f.err != nil {
		k.crash(ctx, e, f, j)
		return
	}
	f.attempt.Session = k.newSession(j.c, f.attempt, f.settings, j.reason, former)
	h := hold(j.c.WorkspaceID, f.attempt.Session, f.attempt.Jar)
	k.log.Info("signed in", zap.String("connection", j.c.ID), zap.String("session", h.session.ID),
		zap.String("request_id", j.requestID), zap.String("reason", j.reason))
	if f.attempt.Token != nil {
		k.keepToken(ctx, e, h, drops)
	}
	k.land(e, f, drops, h)
}

// land ends a flight that brought a session.
func (k *Keeper) land(e *entry, f *flight, drops int, h *Held) {
	f.held = h
	k.mu.Lock()
	keep := e.drops == drops
	if keep {
		e.held, e.backoff = h, backoff{}
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
}

// crash ends a flight that failed.
func (k *Keeper) crash(ctx context.Context, e *entry, f *flight, j journey) {
	var refused *Failed
	answered := errors.As(f.err, &refused)
	k.log.Info("sign-in failed", zap.String("connection", j.c.ID), zap.String("request_id", j.requestID),
		zap.String("reason", j.reason), zap.String("failure", failureName(f.err)))
	if answered && refused.ends(j) {
		// What is stored was refused by the application, and nothing replaces it.
		if err := k.store.DeleteSession(ctx, j.c.WorkspaceID, j.c.ID); err != nil {
			k.log.Warn("session can't be deleted", zap.String("connection", j.c.ID), zap.Error(err))
		}
	}
	k.mu.Lock()
	if answered && refused.Why == NeedsPerson {
		e.held = nil // nothing was sent that could lock an account, and nothing will be
	} else if answered {
		e.backoff.fail(f.settings, refused, k.clock())
		f.next = e.backoff.next
	}
	e.flight = nil
	k.mu.Unlock()
	close(f.done)
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
	if f.err == nil {
		return nil
	}
	return k.callersError(f.err, f.next)
}

func (k *Keeper) newSession(c *connection.Connection, a *Attempt, settings, reason string, former *Session) Session {
	now := k.clock().UTC()
	lines, _ := a.Jar.lines()
	s := Session{
		ID: k.newID(), ConnectionID: c.ID, CreatedAt: now, LastUsedAt: now,
		SignIns: 1, Reason: reason, Cookies: lines, Token: a.Token, Settings: settings,
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
