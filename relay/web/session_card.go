package web

import (
	"net/http"
	"net/url"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/edge"
)

// SignInWords are the state of a sign-in that fails, "" where it does not.
func (v connectionView) SignInWords() string { return v.Inspected.State.Words(v.Now) }

// SignInDetail is what the application answered last, where its sign-in fails.
func (v connectionView) SignInDetail() string { return v.Inspected.State.Detail }

// SignInCount is how often the connection has signed in.
func (v connectionView) SignInCount() string { return plural(v.Session.SignIns, "time") }

// SignsInAlone reports whether the relay can sign in without a person.
func (v connectionView) SignsInAlone() bool {
	token := v.Token()
	return !v.NeedsPerson() || token != nil && token.Refreshable
}

// signInNow signs the connection in because a person asks for it.
func (h *handler) signInNow(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	ctx, id := r.Context(), r.PathValue("id")
	c, err := h.Registry.Resolve(ctx, actor, id)
	if err != nil {
		return err
	}
	if err := h.Registry.SignInAsked(ctx, actor, c); err != nil {
		return err
	}
	_, err = h.Sessions.SignInNow(ctx, c, edge.RequestID(ctx))
	if e := proto.AsError(err); e != nil {
		problem := &notice{Kind: "bad", Icon: "failed", Text: "Not signed in. " + e.Detail}
		if e.Hint != "" {
			problem.Text += " " + e.Hint
		}
		return h.connectionPage(w, r, actor, http.StatusBadGateway, connectionExtras{problem: problem})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/connections/"+url.PathEscape(id)+"?notice=signed-in-now", http.StatusSeeOther)
	return nil
}
