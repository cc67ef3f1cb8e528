package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/session"
	"sallyport/relay/store"
)

// CreateConnection saves a new connection. secrets are its values by name; nil
// ones are passed over. The error is a *connection.Invalid where fields are
// faulty: nothing is saved then.
func (r *Registry) CreateConnection(ctx context.Context, actor account.Actor, spec connection.Spec, secrets map[string]*string) (Connection, []Warning, error) {
	if err := mayEdit(actor, "create connections"); err != nil {
		return Connection{}, nil, err
	}
	spec = connection.Defaults(spec)
	values := merge(nil, secrets)
	if err := r.validate(ctx, r.workspace(actor), "", spec, values); err != nil {
		return Connection{}, nil, err
	}
	now := r.Store.Now()
	row := store.Connection{ID: store.NewID("con"), Version: 1, CreatedAt: now, UpdatedAt: now, UpdatedBy: actor.Name}
	if err := r.fill(&row, spec, values); err != nil {
		return Connection{}, nil, err
	}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.CreateConnection(ctx, row); err != nil {
			return err
		}
		if err := r.pingSoon(ctx, w, row.ID); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"connection.create", "connection", row.ID, row.Name, ""})
	})
	if err != nil {
		return Connection{}, nil, saveFault(err)
	}
	return r.saved(ctx, actor, row.ID, spec)
}

// UpdateConnection replaces a connection that is still at the given version; 0
// is any version. Of secrets, a value replaces, nil removes, and a name that is
// absent is kept. What the sign-in depends on drops the stored session.
func (r *Registry) UpdateConnection(ctx context.Context, actor account.Actor, id string, version int64, spec connection.Spec, secrets map[string]*string) (Connection, []Warning, error) {
	if err := mayEdit(actor, "change connections"); err != nil {
		return Connection{}, nil, err
	}
	spec = connection.Defaults(spec)
	var dropped *session.Dropped
	err := again(func() error {
		return r.workspace(actor).Atomically(ctx, func(w *store.Workspace) (err error) {
			dropped, err = r.replace(ctx, w, actor, id, version, spec, secrets)
			return err
		})
	}, version == 0)
	r.resolved.forget(resolvedKey{actor.WorkspaceID, id}) // before the session goes: none is to be made of what was
	if err == nil && dropped != nil {
		err = r.dropHeld(ctx, *dropped)
	}
	if errors.Is(err, store.ErrVersion) {
		row, readErr := r.workspace(actor).Connection(ctx, id)
		if readErr == nil {
			err = conflict(row)
		}
	}
	if err != nil {
		return Connection{}, nil, saveFault(err)
	}
	return r.saved(ctx, actor, id, spec)
}

// replace is the change itself, within a transaction. It returns the session that
// was dropped for it, nil where none was.
func (r *Registry) replace(ctx context.Context, w *store.Workspace, actor account.Actor, id string, version int64, spec connection.Spec, secrets map[string]*string) (dropped *session.Dropped, err error) {
	row, err := w.Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	if version != 0 && version != row.Version {
		return nil, conflict(row)
	}
	before, err := view(row)
	if err != nil {
		return nil, err
	}
	old, err := r.kept(row, secrets)
	if err != nil {
		return nil, err
	}
	values := merge(old, secrets)
	if err := r.validate(ctx, w, id, spec, values); err != nil {
		return nil, err
	}
	was, last := row.Version, r.dropping(ctx, w, row)
	row.Version++
	row.UpdatedAt, row.UpdatedBy = r.Store.Now(), actor.Name
	if err := r.fill(&row, spec, values); err != nil {
		return nil, err
	}
	if err := w.UpdateConnection(ctx, row, was); err != nil {
		return nil, err
	}
	changed := changedFields(before.Spec, spec, changedSecrets(old, values))
	if sessionDiffers(before.Spec, old, spec, values) {
		dropped = &last
		if err := w.DeleteSession(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := r.pingSoon(ctx, w, id); err != nil {
		return nil, err
	}
	return dropped, r.audit(ctx, w, actor, change{"connection.update", "connection", id, row.Name, changed})
}

// again repeats a change that another one came before, if the caller does not
// mind which version it replaces.
func again(do func() error, indifferent bool) error {
	const tries = 5
	err := do()
	for i := 1; i < tries && indifferent && errors.Is(err, store.ErrVersion); i++ {
		err = do()
	}
	return err
}

// saved is the answer to a save: the connection as it is now, and warnings.
func (r *Registry) saved(ctx context.Context, actor account.Actor, id string, spec connection.Spec) (Connection, []Warning, error) {
	r.publish(actor.WorkspaceID, event.ConnectionChanged, id)
	c, err := r.Connection(ctx, actor, id)
	if err != nil {
		return Connection{}, nil, err
	}
	warnings := connection.Warnings(spec)
	taken, err := r.workspace(actor).NameTaken(ctx, spec.Name, id)
	if err != nil {
		return Connection{}, nil, fault(err, "connection")
	}
	if taken {
		warnings = append([]string{fmt.Sprintf("Another connection is named “%s”, too.", spec.Name)}, warnings...)
	}
	return c, warnings, nil
}

// validate finds every fault at once: of the fields, of the secrets, an agent
// that the workspace does not have, and a key that another connection than id
// has.
func (r *Registry) validate(ctx context.Context, w *store.Workspace, id string, spec connection.Spec, values map[string]string) error {
	var faults []connection.FieldError
	for _, invalid := range []*connection.Invalid{
		connection.Validate(spec, slices.Sorted(maps.Keys(values))),
		connection.ValidateSecrets(spec, values),
	} {
		if invalid != nil {
			faults = append(faults, invalid.Fields...)
		}
	}
	if hidden, err := holdsHidden(spec); err != nil {
		return err
	} else if hidden {
		faults = append(faults, hiddenCredential)
	}
	if spec.Mode == connection.OnPremise && spec.AgentID != "" {
		_, err := w.Agent(ctx, spec.AgentID)
		if errors.Is(err, store.ErrNotFound) {
			faults = append(faults, noSuchAgent)
		} else if err != nil {
			return err
		}
	}
	if spec.Key != "" {
		taken, err := w.KeyTaken(ctx, spec.Key, id)
		if err != nil {
			return err
		}
		if taken {
			faults = append(faults, keyTaken)
		}
	}
	if len(faults) > 0 {
		return &connection.Invalid{Fields: faults}
	}
	return nil
}

var noSuchAgent = connection.FieldError{Path: "agentId", Message: "There is no such agent; it may have been deleted. Choose another one."}

var keyTaken = connection.FieldError{Path: "key", Message: "Another connection has this key. Choose another one, or change that connection."}

// saveFault is fault for saves, where a broken reference can only be an agent
// that was deleted in the very moment, and what is taken only a key that was
// free a moment ago.
func saveFault(err error) error {
	var invalid *connection.Invalid
	if errors.As(err, &invalid) {
		return err
	}
	if errors.Is(err, store.ErrReference) {
		return &connection.Invalid{Fields: []connection.FieldError{noSuchAgent}}
	}
	if errors.Is(err, store.ErrTaken) {
		return &connection.Invalid{Fields: []connection.FieldError{keyTaken}}
	}
	return fault(err, "connection")
}

func conflict(row store.Connection) error {
	return &proto.Error{Code: proto.CodeConflict,
		Detail: fmt.Sprintf("%s has saved this connection meanwhile, on %s.", row.UpdatedBy, row.UpdatedAt.Format("2 January 2006 at 15:04:05 UTC")),
		Hint:   "Load it anew and make your change again, so that nothing of theirs is lost.",
		Facts: map[string]string{"by": row.UpdatedBy, "at": row.UpdatedAt.Format(time.RFC3339),
			"version": fmt.Sprint(row.Version)}}
}

// sessionDiffers reports whether a session that was signed in before a change
// may not be good after it.
func sessionDiffers(before connection.Spec, old map[string]string, after connection.Spec, values map[string]string) bool {
	if before.Auth.Type == connection.AuthOAuth2 && after.Auth.Type == connection.AuthOAuth2 {
		return session.Settings(&connection.Connection{Spec: before, Secrets: old}) != session.Settings(&connection.Connection{Spec: after, Secrets: values})
	}
	return signInDiffers(before, after) || !maps.Equal(old, values)
}

// signInDiffers reports whether a session that was signed in with a may not be
// good for b: all but the name, the ping, how requests are sent and who is told counts.
func signInDiffers(a, b connection.Spec) bool {
	a.Name, b.Name = "", ""
	a.Key, b.Key, a.ManagedBy, b.ManagedBy = "", "", "", ""
	a.Ping, b.Ping = connection.Ping{}, connection.Ping{}
	a.Requests, b.Requests = connection.Requests{}, connection.Requests{}
	a.Auth, b.Auth = signingIn(a.Auth), signingIn(b.Auth)
	a.Health, b.Health = nil, nil
	if len(a.Headers) == 0 && len(b.Headers) == 0 {
		a.Headers, b.Headers = nil, nil
	}
	return !reflect.DeepEqual(a, b)
}

// signingIn is what of an authentication a session depends on: not how it ends.
func signingIn(a connection.Auth) connection.Auth {
	a.Session = nil
	if a.Cookie != nil {
		c := *a.Cookie
		c.SignOut = nil
		a.Cookie = &c
	}
	return a
}

// changedFields names what a save has changed, for the audit trail, in the words
// of the form: never a value.
func changedFields(a, b connection.Spec, secrets []string) string {
	var fields []string
	add := func(name string, differs bool) {
		if differs {
			fields = append(fields, name)
		}
	}
	add("name", a.Name != b.Name)
	add("mode", a.Mode != b.Mode)
	add("agent", a.AgentID != b.AgentID)
	add("HTTP headers", !slices.Equal(a.Headers, b.Headers))
	add("base URI", a.BaseURI != b.BaseURI)
	add("media type", a.MediaType != b.MediaType)
	add("authentication type", a.Auth.Type != b.Auth.Type)
	add("authentication", a.Auth.Type == b.Auth.Type && !reflect.DeepEqual(a.Auth, b.Auth))
	add("ping method", a.Ping.Method != b.Ping.Method)
	add("ping URI", a.Ping.URI != b.Ping.URI)
	add("ping body", a.Ping.Body != b.Ping.Body)
	add("ping success path", a.Ping.SuccessPath != b.Ping.SuccessPath)
	add("ping success values", !slices.Equal(a.Ping.SuccessValues, b.Ping.SuccessValues))
	add("time-outs", a.Requests.Timeouts != b.Requests.Timeouts)
	add("trying again", a.Requests.Retry != b.Requests.Retry)
	add("limits", a.Requests.Limits != b.Requests.Limits)
	add("key", a.Key != b.Key)
	add("managed by", a.ManagedBy != b.ManagedBy)
	add("health", !reflect.DeepEqual(a.Health, b.Health))
	for _, name := range secrets {
		fields = append(fields, "secret "+name)
	}
	if len(fields) == 0 {
		return "nothing"
	}
	return strings.Join(fields, ", ")
}
