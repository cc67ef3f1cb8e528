package api

import (
	"context"
	"time"

	"sallyport/relay/registry"
)

// Happening is one line of an agent's history: a machine came online, or went
// offline.
type Happening struct {
	ID         string    `json:"id"`
	InstanceID string    `json:"instanceId"`
	Hostname   string    `json:"hostname"`
	Online     bool      `json:"online" doc:"Whether it came online, or went offline."`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason,omitempty" doc:"Why it went offline, as the relay saw it, for a person."`
	Cause      string    `json:"cause,omitempty" example:"rebooted" doc:"Why it was offline, as the machine found out itself: stopped, crashed, rebooted, slept, no_network, relay_name_not_found, relay_unreachable, certificate, proxy, proxy_auth, denied, relay_busy, not_a_relay, refused, superseded or connection_lost; more may be added. Left out until it is back and has said so."`
	Detail     string    `json:"detail,omitempty" doc:"Of the cause, for a person."`
}

// historyPage is the part of a history that is asked for.
type historyPage struct {
	Identified
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" doc:"nextCursor of the page before." maxLength:"512"`
}

func (h *handler) agentHistory(ctx context.Context, in *historyPage) (*listed[Happening], error) {
	if _, err := h.Registry.Agent(ctx, actorOf(ctx), in.ID); err != nil {
		return nil, err
	}
	found, next, err := h.Registry.History(ctx, actorOf(ctx), in.ID, registry.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	return listOf(found, next, func(e registry.Happening) Happening {
		return Happening{ID: e.ID, InstanceID: e.InstanceID, Hostname: e.Hostname, Online: e.Online, At: e.At, Reason: e.Reason, Cause: e.Cause, Detail: e.Detail}
	}), nil
}
