package web

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/registry"
)

func (h *handler) newConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "make connections"); err != nil {
		return err
	}
	return h.showForm(w, r, actor, http.StatusOK, "", newFormView(newFormValues(r.URL.Query().Get("agent")), nil, nil))
}

// editConnection shows the saved connection in its form. With ?set=FIELD and
// ?to=VALUE, as the hints of a test link to it, that field is changed already.
func (h *handler) editConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "change connections"); err != nil {
		return err
	}
	saved, err := h.Registry.Connection(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	values := savedFormValues(saved)
	field := r.URL.Query().Get("set")
	changed := values.set(field, r.URL.Query().Get("to"))
	view := newFormView(values, nil, nil)
	if changed {
		view.Dirty = true
		view.focus(field)
	}
	return h.showForm(w, r, actor, http.StatusOK, saved.ID, view)
}

// showForm completes a form with what is the same for all of them.
func (h *handler) showForm(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, id string, view formView) error {
	title := "New connection"
	view.ID, view.Action = id, "/connections/new"
	if id != "" {
		saved, err := h.Registry.Connection(r.Context(), actor, id)
		if err != nil {
			return err
		}
		title, view.SavedName, view.Action = "Edit "+saved.Name, saved.Name, "/connections/"+id+"/edit"
	}
	view.RedirectURI = h.Authorizer.RedirectURI()
	var err error
	if view.Agents, err = h.agentOptionsFor(r.Context(), actor, view.fields["agentId"].Value); err != nil {
		return err
	}
	return h.render(w, status, h.views.connectionForm, page{Title: title, Section: "connections", Actor: actor, Body: view})
}

// submitConnection is every button of the form: save, test, and, for browsers
// without scripts, those that add and remove rows.
func (h *handler) submitConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "change connections"); err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	id, values := r.PathValue("id"), postedFormValues(r.PostForm)
	do := r.PostForm.Get("do")
	if values.edit(do) {
		view := newFormView(values, nil, nil)
		view.Dirty = true
		if assignment, ok := strings.CutPrefix(do, "set:"); ok {
			field, _, _ := strings.Cut(assignment, "=")
			view.focus(field)
		}
		if strings.HasPrefix(do, "pick:") {
			view.focus("ping.successPath")
		}
		return h.showForm(w, r, actor, http.StatusOK, id, view)
	}
	values.addPasted()
	switch do {
	case "test":
		return h.testDraft(w, r, actor, id, values)
	case "compare", "compare-sign-in":
		return h.compareDraft(w, r, actor, id, values, do == "compare-sign-in")
	case "fill", "fill-over":
		return h.fill(w, r, actor, id, values, do == "fill-over")
	}
	return h.saveConnection(w, r, actor, id, do, values)
}

func (h *handler) saveConnection(w http.ResponseWriter, r *http.Request, actor account.Actor, id, do string, values formValues) error {
	spec, rows, mistakes := values.spec()
	if len(mistakes) > 0 {
		return h.showMistakes(w, r, actor, id, values, spec, rows, mistakes)
	}
	var saved registry.Connection
	var err error
	if id == "" {
		saved, _, err = h.Registry.CreateConnection(r.Context(), actor, spec, values.changes())
	} else if spec.Key, spec.ManagedBy, err = h.asCode(r, actor, id); err == nil {
		saved, _, err = h.Registry.UpdateConnection(r.Context(), actor, id, values.version, spec, values.changes())
	}
	if err != nil {
		return h.showFault(w, r, actor, id, values, rows, err)
	}
	if do == "authorize" {
		return h.leadToApplication(w, r, actor, saved.ID)
	}
	// The connection's page shows its warnings.
	http.Redirect(w, r, "/connections/"+saved.ID+"?notice=saved", http.StatusSeeOther)
	return nil
}

// asCode is what the saved connection is known by where it is kept as code. The
// form doesn't have it, and a save must not take it away.
func (h *handler) asCode(r *http.Request, actor account.Actor, id string) (key, managedBy string, err error) {
	saved, err := h.Registry.Connection(r.Context(), actor, id)
	return saved.Key, saved.ManagedBy, err
}

// showMistakes shows the form with what the form itself found wrong, and with
// what the registry finds, so that nobody mends a form in two rounds.
func (h *handler) showMistakes(w http.ResponseWriter, r *http.Request, actor account.Actor, id string, values formValues, spec connection.Spec, rows []int, mistakes []connection.FieldError) error {
	_, err := h.Registry.Draft(r.Context(), actor, id, spec, values.changes())
	var invalid *connection.Invalid
	if errors.As(err, &invalid) {
		mistakes = append(mistakes, invalid.Fields...)
	}
	return h.formWithMistakes(w, r, actor, http.StatusUnprocessableEntity, id, values, rows, distinctPaths(mistakes))
}

// showFault shows the form again if err is about what it holds.
func (h *handler) showFault(w http.ResponseWriter, r *http.Request, actor account.Actor, id string, values formValues, rows []int, err error) error {
	var invalid *connection.Invalid
	switch {
	case errors.As(err, &invalid):
		return h.formWithMistakes(w, r, actor, http.StatusUnprocessableEntity, id, values, rows, invalid.Fields)
	case isConflict(err):
		return h.formWithMistakes(w, r, actor, http.StatusConflict, id, values, rows, []connection.FieldError{{
			Message: "Someone else has changed this connection since you opened it. Open it in another tab to see their changes, then make yours there."}})
	}
	return err
}

func (h *handler) formWithMistakes(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, id string, values formValues, rows []int, mistakes []connection.FieldError) error {
	view := newFormView(values, rows, mistakes)
	view.Dirty = true
	return h.showForm(w, r, actor, status, id, view)
}

// distinctPaths keeps the first mistake of each field.
func distinctPaths(mistakes []connection.FieldError) []connection.FieldError {
	seen := map[string]bool{}
	var distinct []connection.FieldError
	for _, m := range mistakes {
		if !seen[m.Path] || m.Path == "" {
			distinct = append(distinct, m)
		}
		seen[m.Path] = true
	}
	return distinct
}

// nameTaken answers the form's question while a name is being typed.
func (h *handler) nameTaken(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	name := strings.TrimSpace(r.URL.Query().Get("name"))
	if name == "" {
		return nil
	}
	warnings, err := h.Registry.Warnings(r.Context(), actor, r.URL.Query().Get("id"), connection.Spec{Name: name})
	if err != nil {
		return err
	}
	_, _ = io.WriteString(w, strings.Join(warnings, " ")) // the reader is gone, if this fails
	return nil
}
