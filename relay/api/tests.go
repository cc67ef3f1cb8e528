package api

import (
	"context"
	"encoding/json"

	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/probe"
)

type draftTest struct {
	Accept string `header:"Accept" doc:"text/event-stream: the steps as they happen, as events step, and at the end the event result."`
	Body   document[Connection]
}

func (h *handler) testDraft(ctx context.Context, in *draftTest) (*huma.StreamResponse, error) {
	c, err := h.draft(ctx, "", &in.Body)
	if err != nil {
		return nil, err
	}
	return h.test(c, in.Accept, func(context.Context, probe.Result) {}), nil
}

type savedTest struct {
	Identified
	Accept string                `header:"Accept" doc:"text/event-stream: the steps as they happen, as events step, and at the end the event result."`
	Body   *document[Connection] `required:"false"`
}

// testSaved tests the connection as it is saved or, where a body comes along,
// edits of it that are not saved yet.
func (h *handler) testSaved(ctx context.Context, in *savedTest) (*huma.StreamResponse, error) {
	actor := actorOf(ctx)
	if in.Body != nil && len(in.Body.raw) > 0 {
		c, err := h.draft(ctx, in.ID, in.Body)
		if err != nil {
			return nil, err
		}
		return h.test(c, in.Accept, func(context.Context, probe.Result) {}), nil
	}
	c, err := h.Registry.Resolve(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return h.test(c, in.Accept, func(ctx context.Context, result probe.Result) {
		err := h.Registry.RecordTest(ctx, actor, in.ID, result)
		// Who deletes a connection while it is tested needs no history of it.
		if e := proto.AsError(err); err != nil && (e == nil || e.Code != proto.CodeNotFound) {
			h.logFault(ctx, err)
		}
	}), nil
}

func (h *handler) draft(ctx context.Context, id string, body *document[Connection]) (*connection.Connection, error) {
	doc, faults := body.decode(h.schemas())
	if len(faults) > 0 {
		return nil, h.allFaults(ctx, actorOf(ctx), id, doc, faults)
	}
	return h.Registry.Draft(ctx, actorOf(ctx), id, doc.Spec, changes(doc.Secrets))
}

// test runs the test and answers in the form that was asked for. The result is
// recorded even if the caller went away during the last step.
func (h *handler) test(c *connection.Connection, accept string, record func(context.Context, probe.Result)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		id := edge.RequestID(r.Context())
		if !strings.Contains(accept, "text/event-stream") {
			result := h.Prober.Run(r.Context(), c, id, func(probe.Step) {})
			record(context.WithoutCancel(r.Context()), result)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(result) // the caller is gone, if this fails
			return
		}
		stream := openStream(w)
		result := h.Prober.Run(r.Context(), c, id, func(s probe.Step) { stream.send("step", s) })
		record(context.WithoutCancel(r.Context()), result)
		stream.send("result", result)
	}}
}

func testAnswers(op *huma.Operation) {
	op.Description = "A test that ran answers 200, passed or failed; only a connection that can't be tested is an error. " +
		"With Accept: text/event-stream the steps come as they happen: an event `step` when a step begins (status running) and when it ends, then one event `result`."
	op.Responses["200"] = &huma.Response{Description: "The test ran.", Content: map[string]*huma.MediaType{
		"application/json":  {Schema: &huma.Schema{Ref: "#/components/schemas/TestResult"}},
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "Events step (data: a Step) and result (data: a Result)."}},
	}}
}
