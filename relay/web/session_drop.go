package web

import (
	"net/http"
	"net/url"

	"sallyport/relay/account"
)

// dropSession signs the connection out.
func (h *handler) dropSession(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	id := r.PathValue("id")
	if err := h.Registry.SignOut(r.Context(), actor, id); err != nil {
		return err
	}
	http.Redirect(w, r, "/connections/"+url.PathEscape(id)+"?notice=signed-out", http.StatusSeeOther)
	return nil
}
