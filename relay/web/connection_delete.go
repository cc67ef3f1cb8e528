package web

import (
	"net/http"
	"strings"

	"sallyport/relay/account"
)

type connectionDeleteView struct {
	ID, Name, Typed, Error string
	Version                int64
}

func (h *handler) confirmDeleteConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.deleteConnectionPage(w, r, actor, http.StatusOK, "", "")
}

func (h *handler) deleteConnectionPage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, typed, fault string) error {
	if err := mayEdit(actor, "delete connections"); err != nil {
		return err
	}
	c, err := h.Registry.Connection(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	view := connectionDeleteView{ID: c.ID, Name: c.Name, Version: c.Version, Typed: typed, Error: fault}
	return h.render(w, status, h.views.connDelete, page{Title: "Delete " + c.Name, Section: "connections", Actor: actor, Body: view})
}

func (h *handler) deleteConnection(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	c, err := h.Registry.Connection(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	if typed := r.PostForm.Get("confirm"); strings.TrimSpace(typed) != c.Name {
		return h.deleteConnectionPage(w, r, actor, http.StatusUnprocessableEntity, typed, "That is not its name. Type "+c.Name+" to delete it.")
	}
	if err := h.Registry.DeleteConnection(r.Context(), actor, c.ID, c.Version); err != nil {
		return err
	}
	http.Redirect(w, r, "/connections?notice=deleted", http.StatusSeeOther)
	return nil
}
