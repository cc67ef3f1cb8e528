package web

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/registry"
)

type agentRemoveView struct {
	ID, Name, Typed, Error string
	Machines               int
	UsedBy                 []registry.Ref
}

func (h *handler) confirmRemoveAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.removeAgentPage(w, r, actor, http.StatusOK, "", "")
}

func (h *handler) removeAgentPage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, typed, fault string) error {
	if err := mayEdit(actor, "remove agents"); err != nil {
		return err
	}
	a, err := h.Registry.Agent(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	view := agentRemoveView{ID: a.ID, Name: a.Name, Typed: typed, Error: fault, Machines: len(a.Instances)}
	if view.UsedBy, err = h.Registry.ConnectionsOf(r.Context(), actor, a.ID); err != nil {
		return err
	}
	return h.render(w, status, h.views.agentRemove, page{Title: "Remove " + a.Name, Section: "agents", Actor: actor, Body: view})
}

func (h *handler) removeAgent(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	a, err := h.Registry.Agent(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	if typed := r.PostForm.Get("confirm"); strings.TrimSpace(typed) != a.Name {
		return h.removeAgentPage(w, r, actor, http.StatusUnprocessableEntity, typed, "That is not its name. Type "+a.Name+" to remove it.")
	}
	err = h.Registry.DeleteAgent(r.Context(), actor, a.ID)
	if isConflict(err) {
		return h.removeAgentPage(w, r, actor, http.StatusConflict, "", "") // it names the connections
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/agents?notice=agent-removed", http.StatusSeeOther)
	return nil
}

func (h *handler) removeMachine(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	id := r.PathValue("id")
	if err := h.Registry.RemoveInstance(r.Context(), actor, id, r.PathValue("machine")); err != nil {
		return err
	}
	http.Redirect(w, r, "/agents/"+url.PathEscape(id)+"?notice=machine-removed", http.StatusSeeOther)
	return nil
}
