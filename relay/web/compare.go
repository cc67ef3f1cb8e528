package web

import (
	"net/http"
	"net/url"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/probe"
)

// compareView is a comparison as its template draws it.
type compareView struct {
	Places   []placeView
	SignIn   bool
	Finished bool
	InForm   bool
	MaySign  bool // there is a sign-in, or credentials, to try as well
	Path     string
}

// placeView is one place of it.
type placeView struct {
	probe.Reach
	Current bool // the one that the connection has
	InForm  bool
	EditTo  string // leads to the form with this place; "" within a form
}

// Key names the row.
func (v placeView) Key() string {
	if v.AgentID == "" {
		return "cloud"
	}
	return v.AgentID
}

// Icon and Word are the status as a shape and in words.
func (v placeView) Icon() string { return string(v.Status) }

func (v placeView) Word() string {
	switch {
	case v.Status == probe.Running:
		return "asking"
	case v.Status == probe.Failed && v.Reached:
		return v.FailedStep + " failed"
	case v.Reached:
		return "reached"
	}
	return "not reached"
}

// Usable says whether choosing the place makes sense.
func (v placeView) Usable() bool { return v.Reached && !v.Current && v.Status != probe.Running }

// Use is the field that chooses the place, and its value.
func (v placeView) Use() (field, value string) {
	if v.Mode == connection.OnPremise {
		return "agentId", v.AgentID
	}
	return "mode", string(connection.Cloud)
}

// Do is what the form's button says.
func (v placeView) Do() string {
	field, value := v.Use()
	return "set:" + field + "=" + value
}

// comparing is a comparison in the making: from a form or a saved connection.
type comparing struct {
	c       *connection.Connection
	places  []probe.Place
	signIn  bool
	mode    connection.Mode // what the connection has now
	agentID string
	path    string // of the page that asked
	inForm  bool
}

func (c comparing) place(r probe.Reach) placeView {
	v := placeView{Reach: r, InForm: c.inForm, Current: r.Mode == c.mode && (r.Mode == connection.Cloud || r.AgentID == c.agentID)}
	if !c.inForm {
		field, value := v.Use()
		v.EditTo = c.path + "/edit?" + url.Values{"set": {field}, "to": {value}}.Encode()
	}
	return v
}

func (c comparing) view(reaches []probe.Reach, finished bool) *compareView {
	v := &compareView{SignIn: c.signIn, Finished: finished, InForm: c.inForm, MaySign: c.c.Auth.Type != connection.AuthNone, Path: c.path}
	for _, r := range reaches {
		v.Places = append(v.Places, c.place(r))
	}
	return v
}

// compareDraft compares what the form holds, without saving it.
func (h *handler) compareDraft(w http.ResponseWriter, r *http.Request, actor account.Actor, id string, values formValues, signIn bool) error {
	spec, rows, mistakes := values.spec()
	if len(mistakes) > 0 {
		return h.showMistakes(w, r, actor, id, values, spec, rows, mistakes)
	}
	c, places, err := h.Registry.Comparable(r.Context(), actor, id, spec, values.changes(), nil)
	if err != nil {
		return h.showFault(w, r, actor, id, values, rows, err)
	}
	job := comparing{c: c, places: places, signIn: signIn, mode: spec.Mode, agentID: spec.AgentID, inForm: true}
	if wantsStream(r) {
		h.streamComparison(w, r, job)
		return nil
	}
	result := h.Prober.Compare(r.Context(), c, places, signIn, edge.RequestID(r.Context()), nil)
	view := newFormView(values, rows, nil)
	view.Dirty, view.Comparison = true, job.view(result.Places, true)
	return h.showForm(w, r, actor, http.StatusOK, id, view)
}

// compareConnection compares a connection as it is saved.
func (h *handler) compareConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	id := r.PathValue("id")
	if err := mayEdit(actor, "compare connections"); err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	saved, err := h.Registry.Connection(r.Context(), actor, id)
	if err != nil {
		return err
	}
	c, places, err := h.Registry.Comparable(r.Context(), actor, id, saved.Spec, nil, nil)
	if err != nil {
		return err
	}
	job := comparing{c: c, places: places, signIn: r.PostForm.Get("signIn") == "1", mode: saved.Mode, agentID: saved.AgentID, path: "/connections/" + id}
	if wantsStream(r) {
		h.streamComparison(w, r, job)
		return nil
	}
	result := h.Prober.Compare(r.Context(), c, places, job.signIn, edge.RequestID(r.Context()), nil)
	return h.connectionPage(w, r, actor, http.StatusOK, connectionExtras{comparison: job.view(result.Places, true)})
}

// streamComparison sends the table, then each row as its place begins and ends,
// and at last the whole table.
func (h *handler) streamComparison(w http.ResponseWriter, r *http.Request, job comparing) {
	out := openStream(w)
	waiting := make([]probe.Reach, len(job.places))
	for i, p := range job.places {
		waiting[i] = probe.Reach{Place: p, Status: probe.Running, Message: "Waiting for its turn…"}
	}
	h.sendPart(out, "comparison", "compare-result", job.view(waiting, false))
	result := h.Prober.Compare(r.Context(), job.c, job.places, job.signIn, edge.RequestID(r.Context()), func(_ int, reach probe.Reach) {
		h.sendPart(out, "place", "compare-place", job.place(reach))
	})
	view := job.view(result.Places, true)
	h.sendPart(out, "said", "compare-said", view)
	h.sendPart(out, "result", "compare-result", view)
	if out.err != nil {
		h.logStream(r, out.err)
	}
}

// Reaching is how many places reach the application.
func (v compareView) Reaching() int {
	n := 0
	for _, p := range v.Places {
		if p.Reached {
			n++
		}
	}
	return n
}

// Of is how many places were asked, in words.
func (v compareView) Of() string { return plural(len(v.Places), "place") }
