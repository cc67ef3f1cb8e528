package api

import (
	"context"
	"errors"
	"net/http"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
)

type connectionAnswer struct {
	ETag string `header:"ETag" doc:"The version, for If-Match."`
	Body Connection
}

type newConnectionAnswer struct {
	Status   int
	ETag     string `header:"ETag" doc:"The version, for If-Match."`
	Location string `header:"Location" doc:"Of the new connection."`
	Body     Connection
}

func (h *handler) listConnections(ctx context.Context, in *page) (*listed[Connection], error) {
	found, next, err := h.Registry.Connections(ctx, actorOf(ctx), pageOf(in))
	if err != nil {
		return nil, err
	}
	return listOf(found, next, connectionResource), nil
}

func (h *handler) readConnection(ctx context.Context, in *Identified) (*connectionAnswer, error) {
	c, err := h.Registry.Connection(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &connectionAnswer{ETag: etag(c.Version), Body: connectionResource(c)}, nil
}

type newConnection struct {
	Planned
	Body document[Connection]
}

func (h *handler) createConnection(ctx context.Context, in *newConnection) (*newConnectionAnswer, error) {
	actor := actorOf(ctx)
	doc, faults := in.Body.decode(h.schemas())
	if len(faults) > 0 {
		return nil, h.allFaults(ctx, actor, "", doc, faults)
	}
	if in.DryRun {
		plan, err := h.planConnection(ctx, "", 0, doc)
		if err != nil {
			return nil, err
		}
		return &newConnectionAnswer{Status: http.StatusOK, Body: plan}, nil
	}
	c, warnings, err := h.Registry.CreateConnection(ctx, actor, doc.Spec, changes(doc.Secrets))
	if err != nil {
		return nil, err
	}
	out := connectionResource(c)
	out.Warnings = warnings
	return &newConnectionAnswer{Status: http.StatusCreated, ETag: etag(c.Version), Location: Prefix + "/connections/" + c.ID, Body: out}, nil
}

type changedConnection struct {
	Identified
	Planned
	IfMatch string `header:"If-Match" doc:"The ETag that was read. The change is refused where somebody else was faster."`
	Body    document[Connection]
}

// updateConnection replaces a connection. The version that the caller has seen
// comes in If-Match or, where the document that was read is sent back whole, in
// the document.
func (h *handler) updateConnection(ctx context.Context, in *changedConnection) (*connectionAnswer, error) {
	actor := actorOf(ctx)
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	doc, faults := in.Body.decode(h.schemas())
	if len(faults) > 0 {
		return nil, h.allFaults(ctx, actor, in.ID, doc, faults)
	}
	if in.IfMatch == "" {
		version = doc.Version
	}
	if in.DryRun {
		plan, err := h.planConnection(ctx, in.ID, version, doc)
		if err != nil {
			return nil, precondition(in.IfMatch, err)
		}
		return &connectionAnswer{ETag: etag(plan.Version), Body: plan}, nil
	}
	c, warnings, err := h.Registry.UpdateConnection(ctx, actor, in.ID, version, doc.Spec, changes(doc.Secrets))
	if err != nil {
		return nil, precondition(in.IfMatch, err)
	}
	out := connectionResource(c)
	out.Warnings = warnings
	return &connectionAnswer{ETag: etag(c.Version), Body: out}, nil
}

type goneConnection struct {
	Identified
	IfMatch string `header:"If-Match" doc:"The ETag that was read."`
}

func (h *handler) deleteConnection(ctx context.Context, in *goneConnection) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := h.Registry.DeleteConnection(ctx, actorOf(ctx), in.ID, version); err != nil {
		return nil, precondition(in.IfMatch, err)
	}
	return nil, nil
}

// precondition is err, with the status that a failed If-Match has (RFC 9110,
// section 13.1.1).
func precondition(field string, err error) error {
	e := proto.AsError(err)
	if field == "" || e == nil || e.Code != proto.CodeConflict {
		return err
	}
	p := newProblem(http.StatusPreconditionFailed, e.Code, e.Detail)
	p.Hint, p.Reason, p.Facts = e.Hint, e.Reason, e.Facts
	return p
}

// allFaults adds to faults of form those of content, so that a caller mends
// them in one go.
func (h *handler) allFaults(ctx context.Context, actor account.Actor, id string, doc Connection, form []FieldError) error {
	_, err := h.Registry.Draft(ctx, actor, id, doc.Spec, changes(doc.Secrets))
	var content *connection.Invalid
	switch {
	case errors.As(err, &content):
		return merged(form, fieldsOf(content))
	case err != nil && proto.AsError(err) != nil && proto.AsError(err).Code != proto.CodeValidation:
		return err // not found, forbidden: says more than the fields
	}
	return invalid(form)
}
