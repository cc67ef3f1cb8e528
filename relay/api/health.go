package api

import (
	"context"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/health"
)

// Watch says how connections do. *health.Watch implements it.
type Watch interface {
	Report(ctx context.Context, actor account.Actor, id string, results int) (health.Report, error)
	SendTest(ctx context.Context, actor account.Actor, id string) ([]health.Sent, error)
}

// ConnectionHealth is how a connection does, as its scheduled pings find it.
type ConnectionHealth struct {
	State        string         `json:"state" enum:"online,failing,offline,unknown" doc:"offline: its agent is away or paused. unknown: it was not pinged yet, is not to be, or has no ping URI."`
	Since        *time.Time     `json:"since,omitempty"`
	Message      string         `json:"message,omitempty" doc:"What the last ping found, one sentence."`
	CheckedAt    *time.Time     `json:"checkedAt,omitempty" doc:"When it was last pinged."`
	NextAt       *time.Time     `json:"nextAt,omitempty" doc:"When it is pinged next; left out where it is not."`
	Availability Availabilities `json:"availability"`
	Results      []PingResult   `json:"results" doc:"What pings found, newest first; kept for 7 days."`
	Changes      []StateChange  `json:"changes" doc:"When the state changed, newest first."`
	Notices      []SentNotice   `json:"notices" doc:"Who was told, newest first."`
}

// Availabilities are for two spans of time.
type Availabilities struct {
	Day  Availability `json:"day"`
	Week Availability `json:"week"`
}

// Availability is the share of pings that succeeded.
type Availability struct {
	Percent *float64 `json:"percent,omitempty" doc:"Left out where there was no ping."`
	Pings   int      `json:"pings"`
	OK      int      `json:"ok"`
}

// PingResult is what one scheduled ping found.
type PingResult struct {
	At        time.Time `json:"at"`
	State     string    `json:"state" enum:"online,failing,offline" doc:"What it speaks for; the connection's state changes for the worse only when two in a row do."`
	LatencyMs float64   `json:"latencyMs"`
	Message   string    `json:"message,omitempty" doc:"Of one that did not succeed."`
}

// StateChange is a change of a connection's state.
type StateChange struct {
	At          time.Time           `json:"at"`
	Was         string              `json:"was"`
	State       string              `json:"state"`
	Message     string              `json:"message"`
	Differences []health.Difference `json:"differences" doc:"What else had changed since it last worked. That it is the cause is not said."`
}

// SentNotice is a notice, and what became of it.
type SentNotice struct {
	ID          string     `json:"id"`
	Type        string     `json:"type" example:"connection.failing"`
	Kind        string     `json:"kind" enum:"webhook,email"`
	Recipient   string     `json:"recipient" doc:"An address; of a webhook its host."`
	At          time.Time  `json:"at"`
	Attempts    int        `json:"attempts"`
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
	NextAt      *time.Time `json:"nextAt,omitempty" doc:"Of the next attempt; left out once it was delivered or given up."`
	Failure     string     `json:"failure,omitempty" doc:"Of the last attempt."`
}

type healthQuery struct {
	Identified
	Results int `query:"results" minimum:"0" maximum:"2016" default:"288" doc:"How many results at most; 288 are a day of pings every five minutes."`
}

type healthAnswer struct{ Body ConnectionHealth }

func (h *handler) readHealth(ctx context.Context, in *healthQuery) (*healthAnswer, error) {
	r, err := h.Watch.Report(ctx, actorOf(ctx), in.ID, in.Results)
	if err != nil {
		return nil, err
	}
	out := ConnectionHealth{State: string(r.State), Since: ifSet(r.Since), Message: r.Message, CheckedAt: ifSet(r.CheckedAt), NextAt: ifSet(r.NextAt),
		Availability: Availabilities{Day: availability(r.Day), Week: availability(r.Week)},
		Results:      make([]PingResult, 0, len(r.Results)), Changes: make([]StateChange, 0, len(r.Changes)), Notices: make([]SentNotice, 0, len(r.Notices))}
	for _, one := range r.Results {
		out.Results = append(out.Results, PingResult{At: one.At, State: string(one.State), LatencyMs: one.LatencyMs, Message: one.Message})
	}
	for _, c := range r.Changes {
		differences := c.Differences
		if differences == nil {
			differences = []health.Difference{}
		}
		out.Changes = append(out.Changes, StateChange{At: c.At, Was: string(c.Was), State: string(c.State), Message: c.Message, Differences: differences})
	}
	for _, n := range r.Notices {
		out.Notices = append(out.Notices, SentNotice{ID: n.ID, Type: n.Type, Kind: n.Kind, Recipient: n.Recipient, At: n.At, Attempts: n.Attempts,
			DeliveredAt: ifSet(n.DeliveredAt), NextAt: ifSet(n.NextAt), Failure: n.Failure})
	}
	return &healthAnswer{Body: out}, nil
}

func availability(a health.Availability) Availability {
	out := Availability{Pings: a.Pings, OK: a.OK}
	if percent := a.Percent(); percent >= 0 {
		out.Percent = &percent
	}
	return out
}

// TestNotice is what became of a test notice to one recipient.
type TestNotice struct {
	Kind      string `json:"kind" enum:"webhook,email"`
	Recipient string `json:"recipient" doc:"An address; of a webhook its host."`
	OK        bool   `json:"ok" doc:"It was accepted; of an e-mail, by the relay's mail server."`
	Failure   string `json:"failure,omitempty"`
}

func (h *handler) sendTestNotice(ctx context.Context, in *Identified) (*listed[TestNotice], error) {
	sent, err := h.Watch.SendTest(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return listOf(sent, "", func(s health.Sent) TestNotice {
		return TestNotice{Kind: s.Kind, Recipient: s.Recipient, OK: s.Failure == "", Failure: s.Failure}
	}), nil
}
