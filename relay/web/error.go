package web

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/edge"
)

// signedIn lets a page be seen by people who are signed in; others are led to
// the sign-in page, and from there back to where they were going.
func (h *handler) signedIn(show signedPage) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		actor, err := h.Browser.Actor(r)
		if e := proto.AsError(err); e != nil && e.Code == proto.CodeUnauthorized {
			h.leadToSignIn(w, r)
			return
		}
		if err == nil {
			err = show(w, r.WithContext(withActor(r.Context(), actor)), actor)
		}
		if err != nil {
			h.refuse(w, r.WithContext(withActor(r.Context(), actor)), err)
		}
	}
}

// errorView is the page that says what went wrong and what to do.
type errorView struct {
	Status              int
	Title, Detail, Hint string
	RequestID           string
	Links               []link
}

// refuse answers with the page that explains err. An error that is not meant
// for people is logged, and its page says by which id to find it.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := proto.AsError(err)
	if e == nil && tooLarge(err) {
		e = &proto.Error{Code: proto.CodeTooLarge, Detail: "That is more than the relay accepts. Nothing was saved."}
	}
	if e == nil {
		e = &proto.Error{Code: proto.CodeInternal, Detail: "The relay met a fault of its own. Nothing was changed that this page would have shown.",
			Hint: "Try again. If it happens again, the relay's log has the cause under the id below."}
		h.Log.Error("page failed by a fault of the relay", zap.String("requestId", edge.RequestID(r.Context())), zap.String("page", r.Pattern), zap.Error(err))
	}
	actor := actorOf(r.Context())
	view := errorView{Status: e.Code.Status(), Title: errorTitle(e.Code), Detail: e.Detail, Hint: e.Hint}
	if e.Code == proto.CodeInternal {
		view.RequestID = edge.RequestID(r.Context())
	}
	if actor.ID == "" {
		view.Links = []link{{"/sign-in", "Sign in"}}
	} else {
		view.Links = []link{{"/connections", "Go to the connections"}, {"/agents", "Go to the agents"}}
	}
	if wait := e.Facts["retryAfter"]; wait != "" {
		w.Header().Set("Retry-After", wait)
	}
	if err := h.render(w, view.Status, h.views.failure, page{Title: view.Title, Actor: actor, Body: view}); err != nil {
		h.Log.Error("error page failed", zap.Error(err))
		http.Error(w, view.Title+": "+view.Detail, view.Status)
	}
}

func errorTitle(code proto.Code) string {
	switch code {
	case proto.CodeNotFound:
		return "There is nothing here"
	case proto.CodeForbidden:
		return "You may not do that"
	case proto.CodeConflict:
		return "That does not fit with what has changed meanwhile"
	case proto.CodeTooLarge:
		return "That is too large"
	case proto.CodeTooManyRequests:
		return "Too many attempts"
	case proto.CodeUnauthorized:
		return "You are not signed in"
	case proto.CodeValidation:
		return "That can’t be done as it stands"
	default:
		return "Something went wrong here"
	}
}

func (h *handler) noSuchPage(http.ResponseWriter, *http.Request, account.Actor) error {
	return &proto.Error{Code: proto.CodeNotFound, Detail: "No page has this address. It may have been mistyped, or what it showed was deleted."}
}

func (h *handler) home(w http.ResponseWriter, r *http.Request, _ account.Actor) error {
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}

// mayEdit is asked by pages that would offer what the registry then refuses.
func mayEdit(actor account.Actor, what string) error {
	if actor.MayEdit() {
		return nil
	}
	return &proto.Error{Code: proto.CodeForbidden, Detail: "Your role, " + string(actor.Role) + ", may look but not " + what + ".",
		Hint: "Ask an administrator for the role editor."}
}

func tooLarge(err error) bool {
	var over *http.MaxBytesError
	return errors.As(err, &over)
}

func isNotFound(err error) bool { return hasCode(err, proto.CodeNotFound) }

func isConflict(err error) bool { return hasCode(err, proto.CodeConflict) }

func hasCode(err error, code proto.Code) bool {
	e := proto.AsError(err)
	return e != nil && e.Code == code
}
