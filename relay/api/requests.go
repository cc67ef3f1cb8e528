package api

import (
	"context"
	"strconv"
	"time"

	"sallyport/proto"
	"sallyport/relay/gateway"
)

// SentRequest is a request through a connection that was sent lately.
type SentRequest struct {
	At           time.Time `json:"at"`
	RequestID    string    `json:"requestId" doc:"Under which the logs of relay and agent have more."`
	ConnectionID string    `json:"connectionId"`
	Connection   string    `json:"connection" doc:"The connection's name then."`
	Caller       Who       `json:"caller"`
	Method       string    `json:"method"`
	Path         string    `json:"path" doc:"Without the query; cut at 200 bytes."`
	Status       int       `json:"status,omitempty" doc:"Of the application; left out where it did not answer."`
	Code         string    `json:"code,omitempty" doc:"Of the error that was answered in its place."`
	DurationMs   float64   `json:"durationMs" doc:"To the end of the answer."`
	Complete     bool      `json:"complete" doc:"Whether the caller got all of the answer."`
}

type requestsPage struct {
	ConnectionID string `query:"connectionId" maxLength:"64" doc:"Only those through this connection."`
	Failed       bool   `query:"failed" doc:"Only those that did not succeed: a status from 400 on, an error of our own, or an answer that broke off."`
	Limit        int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor       string `query:"cursor" doc:"nextCursor of the page before." maxLength:"64"`
}

func (h *handler) listRequests(ctx context.Context, in *requestsPage) (*listed[SentRequest], error) {
	if _, err := strconv.ParseUint(in.Cursor, 10, 63); err != nil && in.Cursor != "" {
		return nil, &proto.Error{Code: proto.CodeValidation, Detail: "The cursor is not one of this list.",
			Hint: "Send nextCursor of the page before, or none for the first page."}
	}
	found, next := h.Journal.List(actorOf(ctx).WorkspaceID, gateway.Wanted{ConnectionID: in.ConnectionID, Failed: in.Failed, Limit: in.Limit, Cursor: in.Cursor})
	return listOf(found, next, func(e gateway.Entry) SentRequest {
		return SentRequest{At: e.At, RequestID: e.RequestID, ConnectionID: e.ConnectionID, Connection: e.Connection,
			Caller: Who{Kind: e.Caller.Kind, ID: e.Caller.ID, Name: e.Caller.Name}, Method: e.Method, Path: e.Path, Status: e.Status, Code: e.Code,
			DurationMs: float64(e.Took.Microseconds()) / 1000, Complete: e.Complete}
	}), nil
}
