package api

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/probe"
)

// CompareQuery says what is compared.
type CompareQuery struct {
	Accept   string   `header:"Accept" doc:"text/event-stream: each place as it begins and ends, as events place, and at the end the event result."`
	SignIn   bool     `query:"signIn" doc:"Run the whole test, with the sign-in, at the places that the application answered: one after another, until one refuses it. Default: nothing of the connection but its address is sent."`
	AgentIDs []string `query:"agentId,explode" doc:"Compare these agents only, and the cloud."`
}

type draftComparison struct {
	CompareQuery
	Body document[Connection]
}

type savedComparison struct {
	Identified
	CompareQuery
	Body *document[Connection] `required:"false"`
}

func (h *handler) compareDraft(ctx context.Context, in *draftComparison) (*huma.StreamResponse, error) {
	return h.compareDocument(ctx, "", &in.Body, in.CompareQuery)
}

// compareSaved compares the connection as it is saved or, where a body comes
// along, edits of it.
func (h *handler) compareSaved(ctx context.Context, in *savedComparison) (*huma.StreamResponse, error) {
	if in.Body != nil && len(in.Body.raw) > 0 {
		return h.compareDocument(ctx, in.ID, in.Body, in.CompareQuery)
	}
	saved, err := h.Registry.Connection(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	c, places, err := h.Registry.Comparable(ctx, actorOf(ctx), in.ID, saved.Spec, nil, in.AgentIDs)
	if err != nil {
		return nil, err
	}
	return h.compare(c, places, in.CompareQuery), nil
}

func (h *handler) compareDocument(ctx context.Context, id string, body *document[Connection], q CompareQuery) (*huma.StreamResponse, error) {
	doc, faults := body.decode(h.schemas())
	if len(faults) > 0 {
		return nil, h.allFaults(ctx, actorOf(ctx), id, doc, faults)
	}
	c, places, err := h.Registry.Comparable(ctx, actorOf(ctx), id, doc.Spec, changes(doc.Secrets), q.AgentIDs)
	if err != nil {
		return nil, err
	}
	return h.compare(c, places, q), nil
}

// compare runs the comparison and answers in the form that was asked for.
func (h *handler) compare(c *connection.Connection, places []probe.Place, q CompareQuery) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		id := edge.RequestID(r.Context())
		if !strings.Contains(q.Accept, "text/event-stream") {
			result := h.Prober.Compare(r.Context(), c, places, q.SignIn, id, nil)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(result) // the caller is gone, if this fails
			return
		}
		stream := openStream(w)
		result := h.Prober.Compare(r.Context(), c, places, q.SignIn, id, func(_ int, reach probe.Reach) { stream.send("place", reach) })
		stream.send("result", result)
	}}
}

func compareAnswers(op *huma.Operation) {
	op.Description = "Tells from which places the application can be reached: from the cloud, and from each agent (at most 50 places, those that are online first). " +
		"Without signIn, one GET is sent from each, with nothing of the connection but its address: at another site, the same address may be somebody else's machine. " +
		"With Accept: text/event-stream each place comes as an event `place` when it begins (status running) and when it ends, then one event `result`."
	op.Responses["200"] = &huma.Response{Description: "The places were asked.", Content: map[string]*huma.MediaType{
		"application/json":  {Schema: &huma.Schema{Ref: "#/components/schemas/TestComparison"}},
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "Events place (data: a Reach) and result (data: a Comparison)."}},
	}}
}
