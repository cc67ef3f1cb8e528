package web

import (
	"context"
	"net/http"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/probe"
)

// testDraft tests what the form holds, without saving it.
func (h *handler) testDraft(w http.ResponseWriter, r *http.Request, actor account.Actor, id string, values formValues) error {
	spec, rows, mistakes := values.spec()
	if len(mistakes) > 0 {
		return h.showMistakes(w, r, actor, id, values, spec, rows, mistakes)
	}
	c, err := h.Registry.Draft(r.Context(), actor, id, spec, values.changes())
	if err != nil {
		return h.showFault(w, r, actor, id, values, rows, err)
	}
	if wantsStream(r) {
		h.streamTest(w, r, c, testContext{inForm: true}, nil)
		return nil
	}
	result := h.Prober.Run(r.Context(), c, edge.RequestID(r.Context()), func(probe.Step) {})
	view := newFormView(values, rows, nil)
	view.Dirty = true
	view.Test = newTestView(result, testContext{inForm: true})
	return h.showForm(w, r, actor, http.StatusOK, id, view)
}

// testConnection tests a connection as it is saved, and keeps the result.
func (h *handler) testConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	id := r.PathValue("id")
	if err := mayEdit(actor, "test connections"); err != nil {
		return err
	}
	c, err := h.Registry.Resolve(r.Context(), actor, id)
	if err != nil {
		return err
	}
	in := testContext{editPath: "/connections/" + id + "/edit"}
	record := func(result probe.Result) error {
		// Kept even if the reader went away during the last step.
		return h.Registry.RecordTest(context.WithoutCancel(r.Context()), actor, id, result)
	}
	if wantsStream(r) {
		h.streamTest(w, r, c, in, record)
		return nil
	}
	result := h.Prober.Run(r.Context(), c, edge.RequestID(r.Context()), func(probe.Step) {})
	if err := record(result); err != nil {
		return err
	}
	return h.connectionPage(w, r, actor, http.StatusOK, connectionExtras{test: newTestView(result, in)})
}

func wantsStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// streamTest sends each step as it begins and as it ends, as the markup that
// a whole page would show, and at last the whole result.
func (h *handler) streamTest(w http.ResponseWriter, r *http.Request, c *connection.Connection, in testContext, record func(probe.Result) error) {
	out := openStream(w)
	result := h.Prober.Run(r.Context(), c, edge.RequestID(r.Context()), func(s probe.Step) {
		h.sendPart(out, "step", "test-step", newStepView(s, in))
	})
	if record != nil {
		if err := record(result); err != nil {
			h.logStream(r, err)
		}
	}
	view := newTestView(result, in)
	h.sendPart(out, "said", "test-said", view)
	h.sendPart(out, "result", "test-result", view)
	if out.err != nil {
		h.logStream(r, out.err)
	}
}

func (h *handler) sendPart(out *stream, event, name string, data any) {
	if out.err != nil {
		return
	}
	markup, err := h.part(name, data)
	if err != nil {
		out.err = err
		return
	}
	out.send(event, markup)
}
