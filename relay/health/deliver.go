package health

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/store"
)

const (
	// tellAtOnce is how many notices of one relay are under way at most.
	tellAtOnce = 4
	// tellRounds is how many rounds of pings lie between two in which the store is
	// asked for notices that are due; those of this relay's own pings are
	// delivered at once.
	tellRounds = 5
	// tellFor bounds one attempt, and tellLease is how long its claimer has.
	tellFor   = 20 * time.Second
	tellLease = 2 * time.Minute
)

// pauses lie between the attempts to deliver a notice. After the last one it is
// given up: what happened three hours ago is to be seen on the page.
var pauses = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}

// stir has notices delivered that were just written.
func (w *Watch) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// deliver delivers notices until ctx ends.
func (w *Watch) deliver(ctx context.Context) {
	ticker := time.NewTicker(tellRounds * w.round)
	defer ticker.Stop()
	for {
		if err := w.tell(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("notices that are due can't be found", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-ticker.C:
		}
	}
}

// tell begins to deliver what is due, as far as there are places.
func (w *Watch) tell(ctx context.Context) error {
	for {
		free := cap(w.telling) - len(w.telling)
		if free == 0 {
			return nil // whoever ends stirs
		}
		claimed, err := w.Store.ClaimNotices(ctx, w.claim(tellLease, free))
		if err != nil || len(claimed) == 0 {
			return err
		}
		for _, one := range claimed {
			w.telling <- struct{}{} // only this goroutine takes places
			w.work.Go(func() {
				w.attempt(ctx, one)
				<-w.telling
				w.stir()
			})
		}
	}
}

// attempt delivers a notice, or notes why it could not be.
func (w *Watch) attempt(ctx context.Context, n store.ClaimedNotice) {
	err := w.hand(ctx, n)
	if ctx.Err() != nil && err != nil {
		return // the relay stops; another, or the next run, delivers it once the lease has ended
	}
	now := w.Clock()
	n.Attempts++
	n.NextAt, n.Failure = time.Time{}, ""
	switch {
	case err == nil:
		n.DeliveredAt = now
	case n.Attempts <= len(pauses):
		n.NextAt = now.Add(pauses[n.Attempts-1])
		n.Failure = cutText(err.Error(), longestMessage)
	default:
		n.Failure = cutText(err.Error(), longestMessage)
	}
	w.metrics.told(n.Kind, err == nil)
	if err != nil {
		w.Log.Warn("a notice could not be delivered", zap.String("notice", n.ID), zap.String("connection", n.ConnectionID),
			zap.String("kind", n.Kind), zap.Int("attempts", n.Attempts), zap.Bool("givenUp", n.NextAt.IsZero()), zap.Error(err))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := w.Store.SettleNotice(ctx, n); err != nil {
		w.Log.Error("what came of a notice can't be written down", zap.String("notice", n.ID), zap.Error(err))
	}
}

// hand hands a notice over to its recipient.
func (w *Watch) hand(ctx context.Context, n store.ClaimedNotice) error {
	ctx, cancel := context.WithTimeout(ctx, tellFor)
	defer cancel()
	if n.Kind == email {
		var notice Notice
		if err := json.Unmarshal(n.Body, &notice); err != nil {
			return &proto.Error{Code: proto.CodeInternal, Detail: "The notice can't be read.", Err: err}
		}
		return w.Courier.mail(ctx, n.Recipient, notice)
	}
	c, _, err := w.open(ctx, n.WorkspaceID, n.ConnectionID)
	if err != nil {
		return err
	}
	return w.Courier.post(ctx, c, n.ID, n.Body)
}
