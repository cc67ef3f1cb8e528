package registry

import (
	"context"
	"fmt"

	"sallyport/relay/account"
	"sallyport/relay/connection"
)

// Resolve returns a saved connection with its secrets in clear text, for
// whoever sends a request through it or tests it. Callers share what it returns
// and must not change it.
func (r *Registry) Resolve(ctx context.Context, actor account.Actor, id string) (*connection.Connection, error) {
	if err := mayEdit(actor, "send requests through connections"); err != nil {
		return nil, err
	}
	key, now := resolvedKey{actor.WorkspaceID, id}, r.Clock()
	known, number := r.resolved.get(key, now)
	if known != nil {
		return known, nil
	}
	row, err := r.workspace(actor).Connection(ctx, id)
	if err != nil {
		return nil, fault(err, "connection")
	}
	c, err := view(row)
	if err != nil {
		return nil, err
	}
	values, err := r.open(row)
	if err != nil {
		return nil, fault(err, "connection")
	}
	resolved := &connection.Connection{ID: id, WorkspaceID: actor.WorkspaceID, Spec: c.Spec, Secrets: values}
	r.resolved.put(key, resolved, now, number)
	return resolved, nil
}

// Draft returns a connection as it would be if it were saved, validated but not
// saved: for the test of a form. id is the saved connection whose secrets are
// kept, or "" for a new one. The draft itself has no id, so that nothing that
// it does touches the saved connection's session.
func (r *Registry) Draft(ctx context.Context, actor account.Actor, id string, spec connection.Spec, secrets map[string]*string) (*connection.Connection, error) {
	if err := mayEdit(actor, "test connections"); err != nil {
		return nil, err
	}
	w := r.workspace(actor)
	var old map[string]string
	if id != "" {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return nil, fault(err, "connection")
		}
		if old, err = r.kept(row, secrets); err != nil {
			return nil, fault(err, "connection")
		}
	}
	spec = connection.Defaults(spec)
	values := merge(old, secrets)
	if err := r.validate(ctx, w, id, spec, values); err != nil {
		return nil, saveFault(err)
	}
	return &connection.Connection{WorkspaceID: actor.WorkspaceID, Spec: spec, Secrets: values}, nil
}

// Warnings is what is worth a second look in a form that was not saved yet; id
// as for Draft.
func (r *Registry) Warnings(ctx context.Context, actor account.Actor, id string, spec connection.Spec) ([]Warning, error) {
	spec = connection.Defaults(spec)
	warnings := connection.Warnings(spec)
	taken, err := r.workspace(actor).NameTaken(ctx, spec.Name, id)
	if err != nil {
		return nil, fault(err, "connection")
	}
	if taken {
		warnings = append([]string{fmt.Sprintf("Another connection is named “%s”, too.", spec.Name)}, warnings...)
	}
	return warnings, nil
}
