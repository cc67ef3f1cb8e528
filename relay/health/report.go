package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/store"
)

// Report is all that is known of how a connection does.
type Report struct {
	State     State
	Since     time.Time // zero: it was never pinged
	Message   string    // of the last ping
	CheckedAt time.Time // zero: never
	NextAt    time.Time // zero: it is not to be pinged
	Day, Week Availability
	Results   []Result // newest first
	Changes   []Change // newest first
	Notices   []Delivery
}

// Availability is which share of pings succeeded. Those that found the agent
// away count as failed: nobody reached the application.
type Availability struct{ Pings, OK int }

// Percent is the share in percent; -1 where there was no ping.
func (a Availability) Percent() float64 {
	if a.Pings == 0 {
		return -1
	}
	return 100 * float64(a.OK) / float64(a.Pings)
}

// Result is what one ping found.
type Result struct {
	At        time.Time
	State     State // that it speaks for
	LatencyMs float64
	Message   string // of one that failed
}

// Change is a change of state.
type Change struct {
	At          time.Time
	Was, State  State
	Message     string
	Differences []Difference
}

// Delivery is what became of a notice.
type Delivery struct {
	ID, Type, Kind, Recipient string
	At                        time.Time
	Attempts                  int
	DeliveredAt, NextAt       time.Time // zero: not, or not again
	Failure                   string
}

const (
	// MaxResults is how many results a report has at most: a week of pings every
	// five minutes.
	MaxResults = 2016
	// reportChanges and reportNotices are how many of each it has.
	reportChanges = 50
	reportNotices = 20
)

// Report tells how a connection of the actor's workspace does, with up to so
// many results.
func (w *Watch) Report(ctx context.Context, actor account.Actor, id string, results int) (Report, error) {
	ws := w.Store.Workspace(actor.WorkspaceID)
	if _, err := ws.Connection(ctx, id); err != nil {
		return Report{}, noSuch(err)
	}
	healths, err := ws.Healths(ctx, []string{id})
	if err != nil {
		return Report{}, err
	}
	r := Report{State: Unknown}
	if h, ok := healths[id]; ok {
		r = Report{State: State(h.State), Since: h.Since, Message: h.Message, CheckedAt: h.CheckedAt, NextAt: h.NextAt}
	}
	if err := w.availability(ctx, ws, id, &r); err != nil {
		return Report{}, err
	}
	recent, err := ws.RecentResults(ctx, []string{id}, min(results, MaxResults))
	if err != nil {
		return Report{}, err
	}
	for _, one := range recent[id] {
		r.Results = append(r.Results, Result{At: one.At, State: State(one.Result), LatencyMs: one.LatencyMs, Message: one.Message})
	}
	if err := changes(ctx, ws, id, &r); err != nil {
		return Report{}, err
	}
	return r, deliveries(ctx, ws, id, &r)
}

func (w *Watch) availability(ctx context.Context, ws *store.Workspace, id string, r *Report) error {
	now := w.Clock()
	for since, to := range map[time.Duration]*Availability{24 * time.Hour: &r.Day, store.ResultsKept: &r.Week} {
		counts, err := ws.CountResults(ctx, id, now.Add(-since))
		if err != nil {
			return err
		}
		to.OK = counts[string(Online)]
		to.Pings = to.OK + counts[string(Failing)] + counts[string(Offline)]
	}
	return nil
}

func changes(ctx context.Context, ws *store.Workspace, id string, r *Report) error {
	rows, err := ws.HealthChanges(ctx, id, reportChanges)
	if err != nil {
		return err
	}
	for _, row := range rows {
		c := Change{At: row.At, Was: State(row.Was), State: State(row.State), Message: row.Message}
		if err := json.Unmarshal(row.Differences, &c.Differences); err != nil {
			return fmt.Errorf("read a change of state: %w", err)
		}
		r.Changes = append(r.Changes, c)
	}
	return nil
}

func deliveries(ctx context.Context, ws *store.Workspace, id string, r *Report) error {
	rows, err := ws.Notices(ctx, id, reportNotices)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var n Notice
		if err := json.Unmarshal(row.Body, &n); err != nil {
			return fmt.Errorf("read a notice: %w", err)
		}
		r.Notices = append(r.Notices, Delivery{ID: row.ID, Type: n.Type, Kind: row.Kind, Recipient: row.Recipient, At: row.At,
			Attempts: row.Attempts, DeliveredAt: row.DeliveredAt, NextAt: row.NextAt, Failure: row.Failure})
	}
	return nil
}

// Sent is what became of a test notice to one recipient.
type Sent struct {
	Kind, Recipient string
	Failure         string // "": it was accepted
}

// testNotices is how many test notices a workspace may send at once, and one
// more each testNoticeEvery: addresses are whatever somebody has entered, and
// nobody is to be flooded by the relay.
const (
	testNotices     = 20
	testNoticeEvery = time.Minute
)

// SendTest sends a test notice to everybody who would be told about the saved
// connection, at once and once each, and says what came of it.
func (w *Watch) SendTest(ctx context.Context, actor account.Actor, id string) ([]Sent, error) {
	c, err := w.Connections.Resolve(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	if c.Health == nil || c.Health.Webhook == "" && len(c.Health.Emails) == 0 {
		return nil, &proto.Error{Code: proto.CodeValidation, Detail: "The connection names nobody who is to be told.",
			Hint: "Enter a webhook or e-mail addresses under Health, and save."}
	}
	if wait := w.tests.Take(actor.WorkspaceID); wait > 0 {
		return nil, &proto.Error{Code: proto.CodeTooManyRequests, Detail: "Too many test notices were sent lately.", Hint: "Try again in a minute.",
			Facts: map[string]string{"retryAfter": strconv.Itoa(int(wait/time.Second) + 1)}}
	}
	now := w.Clock()
	n := Notice{Type: TypeTest, At: rfc3339(now), Connection: w.Courier.subject(c), State: Unknown, Was: Unknown, Since: rfc3339(now), Differences: []Difference{}}
	n.Text = n.sentence()
	n.Message = n.Text
	var sent []Sent
	for _, one := range w.addressed(c, n, now) {
		s := Sent{Kind: one.Kind, Recipient: one.Recipient}
		if err := w.sendOne(ctx, c, one); err != nil {
			s.Failure = cutText(err.Error(), longestMessage)
		}
		sent = append(sent, s)
	}
	if !w.Courier.Mails() {
		for _, address := range c.Health.Emails {
			sent = append(sent, Sent{Kind: email, Recipient: address, Failure: "the relay has no mail server: whoever runs it sets smtp-url"})
		}
	}
	return sent, nil
}

func (w *Watch) sendOne(ctx context.Context, c *connection.Connection, n store.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, tellFor)
	defer cancel()
	if n.Kind == webhook {
		return w.Courier.post(ctx, c, n.ID, n.Body)
	}
	var notice Notice
	if err := json.Unmarshal(n.Body, &notice); err != nil {
		return err
	}
	return w.Courier.mail(ctx, n.Recipient, notice)
}

func noSuch(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &proto.Error{Code: proto.CodeNotFound, Detail: "There is no such connection.", Hint: "It may have been deleted meanwhile.", Err: err}
	}
	return err
}
