package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"sallyport/relay/account"
	"sallyport/relay/authorize"
	"sallyport/relay/edge"
	"sallyport/relay/probe"
)

// Authorizer leads people through the sign-ins of applications.
type Authorizer interface {
	Begin(ctx context.Context, actor account.Actor, connectionID string) (string, error)
	Finish(ctx context.Context, actor account.Actor, query url.Values, requestID string) (connectionID string, err error)
	RedirectURI() string
}

// authorizeView is the page between the relay and the application's sign-in.
type authorizeView struct{ Host, Href, Back string }

// beginAuthorization sends the browser to the application's sign-in.
func (h *handler) beginAuthorization(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "sign connections in"); err != nil {
		return err
	}
	return h.leadToApplication(w, r, actor, r.PathValue("id"))
}

// leadToApplication is a page of its own that leads on by itself: a redirect as
// the answer to a form may not leave this site (form-action), and people see
// where they are going.
func (h *handler) leadToApplication(w http.ResponseWriter, r *http.Request, actor account.Actor, id string) error {
	to, err := h.Authorizer.Begin(r.Context(), actor, id)
	if err != nil {
		return err
	}
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	w.Header().Set("Refresh", "0; url="+u.String())
	return h.render(w, http.StatusOK, h.views.authorize, page{Title: "Sign in with the application", Section: "connections", Actor: actor,
		Body: authorizeView{Host: u.Host, Href: u.String(), Back: "/connections/" + url.PathEscape(id)}})
}

// finishAuthorization is where the application sends the browser back to.
func (h *handler) finishAuthorization(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	id, err := h.Authorizer.Finish(r.Context(), actor, r.URL.Query(), edge.RequestID(r.Context()))
	var refused *authorize.Refused
	if errors.As(err, &refused) {
		problem := &notice{Kind: "bad", Icon: "failed", Text: "Not signed in. " + refused.Detail}
		if refused.Failed != nil {
			if hint := probe.TokenHint(refused.Connection, refused.Failed); hint != "" {
				problem.Text += " " + hint
			}
		}
		r.SetPathValue("id", id)
		return h.connectionPage(w, r, actor, http.StatusBadGateway, connectionExtras{problem: problem})
	}
	if err != nil {
		return err
	}
	// The code is not to stay in the address.
	http.Redirect(w, r, "/connections/"+url.PathEscape(id)+"?notice=signed-in", http.StatusSeeOther)
	return nil
}
