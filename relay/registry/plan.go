package registry

import (
	"context"
	"maps"
	"slices"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/store"
)

// Plan is what saving a connection would do.
type Plan struct {
	Connection // as it would be read afterwards; at the version that it has now
	// ChangedSecrets are those that would be set, changed or removed, sorted.
	// Who asks can't read secrets, and learns by this whether a save is needed.
	ChangedSecrets []string
	Warnings       []Warning
}

// PlanConnection is CreateConnection, where id is "", or UpdateConnection, up to
// the point where something would be saved. Its errors are theirs.
func (r *Registry) PlanConnection(ctx context.Context, actor account.Actor, id string, version int64, spec connection.Spec, secrets map[string]*string) (Plan, error) {
	if err := mayEdit(actor, "change connections"); err != nil {
		return Plan{}, err
	}
	w := r.workspace(actor)
	var plan Plan
	var old map[string]string
	if id != "" {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return Plan{}, fault(err, "connection")
		}
		if version != 0 && version != row.Version {
			return Plan{}, conflict(row)
		}
		if old, err = r.kept(row, secrets); err != nil {
			return Plan{}, fault(err, "connection")
		}
		known, err := r.withTests(ctx, actor, []store.Connection{row})
		if err != nil {
			return Plan{}, err
		}
		plan.Connection = known[0]
	}
	plan.Spec = connection.Defaults(spec)
	values := merge(old, secrets)
	if err := r.validate(ctx, w, id, plan.Spec, values); err != nil {
		return Plan{}, saveFault(err)
	}
	plan.SecretNames = slices.Sorted(maps.Keys(values))
	plan.ChangedSecrets = changedSecrets(old, values)
	var err error
	plan.Warnings, err = r.Warnings(ctx, actor, id, plan.Spec)
	return plan, err
}

// changedSecrets are the names whose value differs, or is in one alone.
func changedSecrets(old, values map[string]string) []string {
	var changed []string
	for name, value := range values {
		if was, had := old[name]; !had || was != value {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, has := values[name]; !has {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}
