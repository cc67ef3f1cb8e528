package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/relay/registry"
)

// Planned is the parameter of calls that can tell what they would do.
type Planned struct {
	DryRun bool `query:"dryRun" doc:"Answer as if the connection were saved, and save nothing: every fault is found, and changedSecrets names the secrets that would change."`
}

func (h *handler) planConnection(ctx context.Context, id string, version int64, doc Connection) (Connection, error) {
	plan, err := h.Registry.PlanConnection(ctx, actorOf(ctx), id, version, doc.Spec, changes(doc.Secrets))
	if err != nil {
		return Connection{}, err
	}
	return planResource(plan), nil
}

func planResource(p registry.Plan) Connection {
	out := connectionResource(p.Connection)
	if p.ID == "" {
		out.CreatedAt, out.UpdatedAt, out.Status = nil, nil, nil // there is nothing yet that could have them
	}
	out.Warnings, out.ChangedSecrets = p.Warnings, p.ChangedSecrets
	return out
}

// createAnswers adds the answer of a dry run.
func createAnswers(op *huma.Operation) {
	op.Responses["200"] = &huma.Response{Description: "With dryRun: what would be created.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Connection"}},
	}}
}
