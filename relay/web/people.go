package web

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/proto"
	"sallyport/relay/account"
)

type peopleView struct {
	Items       []account.User
	Me          string // id of whoever looks
	Query       string
	Pages       pages
	Roles       []choice
	Email       string
	Name        string
	Role        string
	Faults      formFaults // of the invitation
	Link        string     // a sign-in link that was just made, shown this once
	LinkFor     string
	Problem     string // why a change was refused
	NoneMatches bool
}

func (h *handler) showPeople(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.peoplePage(w, r, actor, http.StatusOK, peopleView{Role: string(account.Editor)})
}

func (h *handler) peoplePage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, view peopleView) error {
	query, cursor := strings.TrimSpace(r.URL.Query().Get("q")), r.URL.Query().Get("cursor")
	users, next, err := h.Accounts.People(r.Context(), actor, account.Page{Limit: pageSize, Cursor: cursor, Query: query})
	if err != nil {
		return err
	}
	view.Items, view.Me, view.Query, view.Roles = users, actor.ID, query, newSettingsView().Roles
	view.Pages = pagesOf("/settings/people", query, cursor, next)
	view.NoneMatches = len(users) == 0
	return h.render(w, status, h.views.people, page{Title: "People", Section: "settings", Actor: actor, Notice: noticeOf(r), Body: view})
}

func (h *handler) invite(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	view := peopleView{Email: r.PostForm.Get("email"), Name: r.PostForm.Get("name"), Role: r.PostForm.Get("role")}
	user, path, err := h.Accounts.CreateUser(r.Context(), actor, view.Email, view.Name, account.Role(view.Role))
	if e := proto.AsError(err); e != nil && (e.Code == proto.CodeValidation || e.Code == proto.CodeConflict) {
		view.Faults = faultsIn(err, "email")
		return h.peoplePage(w, r, actor, e.Code.Status(), view)
	}
	if err != nil {
		return err
	}
	return h.peoplePage(w, r, actor, http.StatusOK, peopleView{Role: view.Role, Link: h.link(path), LinkFor: user.Email})
}

func (h *handler) link(path string) string {
	return h.PublicURL.JoinPath(strings.TrimPrefix(path, "/")).String()
}

// changePerson is every button of a person's row.
func (h *handler) changePerson(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	id, do, ctx := r.PathValue("id"), r.PostForm.Get("do"), r.Context()
	var err error
	switch do {
	case "role":
		err = h.Accounts.SetRole(ctx, actor, id, account.Role(r.PostForm.Get("role")))
	case "disable", "enable":
		err = h.Accounts.DisableUser(ctx, actor, id, do == "disable")
	case "remove":
		err = h.Accounts.RemoveUser(ctx, actor, id)
	case "link":
		var path string
		if path, err = h.Accounts.SignInLinkFor(ctx, actor, id, account.InviteLifetime); err == nil {
			var user account.User
			if user, err = h.Accounts.Person(ctx, actor, id); err == nil {
				return h.peoplePage(w, r, actor, http.StatusOK, peopleView{Role: string(account.Editor), Link: h.link(path), LinkFor: user.Email})
			}
		}
	default:
		err = &proto.Error{Code: proto.CodeValidation, Detail: "There is no such button.", Hint: "Load the page anew."}
	}
	if e := proto.AsError(err); e != nil && (e.Code == proto.CodeConflict || e.Code == proto.CodeValidation) {
		return h.peoplePage(w, r, actor, e.Code.Status(), peopleView{Role: string(account.Editor), Problem: sentence(e)})
	}
	if err != nil {
		return err
	}
	back := url.Values{"notice": {"person-changed"}}
	if q := r.URL.Query().Get("q"); q != "" {
		back.Set("q", q)
	}
	if id == actor.ID && do != "role" {
		back.Del("notice")
	}
	http.Redirect(w, r, "/settings/people?"+back.Encode(), http.StatusSeeOther)
	return nil
}
