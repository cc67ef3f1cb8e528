package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
)

type settingsView struct {
	Email         string
	HasPassword   bool
	MayAdminister bool
	Tokens        []tokenRow
	MoreTokens    pages
	Secret        string // of the token just made, shown this once
	TokenName     string
	TokenRole     string
	TokenExpires  string
	Roles         []choice
	Lifetimes     []choice
	TokenFaults   formFaults
	Errors        map[string]string // of the password's form
}

type tokenRow struct {
	account.Token
	Expired bool
}

func newSettingsView() settingsView {
	return settingsView{
		TokenRole: string(account.Editor), TokenExpires: "90", Errors: map[string]string{"current": "", "new": ""},
		Roles:     []choice{{Value: string(account.Admin), Label: "Admin"}, {Value: string(account.Editor), Label: "Editor"}, {Value: string(account.Viewer), Label: "Viewer"}},
		Lifetimes: []choice{{Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in a year"}, {Value: "0", Label: "never"}},
	}
}

func (h *handler) showSettings(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	return h.settingsPage(w, r, actor, http.StatusOK, newSettingsView())
}

func (h *handler) settingsPage(w http.ResponseWriter, r *http.Request, actor account.Actor, status int, view settingsView) error {
	user, err := h.Browser.User(r)
	if err != nil {
		return err
	}
	view.Email, view.HasPassword, view.MayAdminister = user.Email, user.HasPassword, actor.MayAdminister()
	if view.MayAdminister {
		tokens, err := h.Accounts.Tokens(r.Context(), actor)
		if err != nil {
			return err
		}
		tokens, view.MoreTokens = partOf(tokens, r)
		for _, t := range tokens {
			view.Tokens = append(view.Tokens, tokenRow{t, t.ExpiresAt != nil && !h.Clock().Before(*t.ExpiresAt)})
		}
	}
	return h.render(w, status, h.views.settings, page{Title: "Settings", Section: "settings", Actor: actor, Notice: noticeOf(r), Body: view})
}

// partOf is the part of the tokens that is shown, and where the others are.
func partOf(tokens []account.Token, r *http.Request) ([]account.Token, pages) {
	var p pages
	from, err := strconv.Atoi(r.URL.Query().Get("tokens"))
	if err != nil || from < 0 || from >= len(tokens) {
		from = 0
	}
	if from > 0 {
		p.First = "/settings#tokens"
	}
	to := min(from+pageSize, len(tokens))
	if to < len(tokens) {
		p.Next = "/settings?tokens=" + strconv.Itoa(to) + "#tokens"
	}
	return tokens[from:to], p
}

func (h *handler) setPassword(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	user, err := h.Accounts.SetPassword(r.Context(), actor, r.PostForm.Get("current"), r.PostForm.Get("new"))
	if e := proto.AsError(err); e != nil && (e.Code == proto.CodeValidation || e.Code == proto.CodeTooManyRequests) {
		view := newSettingsView()
		field := "new"
		if e.Reason == account.ReasonWrongPassword || e.Code == proto.CodeTooManyRequests {
			field = "current"
		}
		view.Errors[field] = sentence(e)
		return h.settingsPage(w, r, actor, e.Code.Status(), view)
	}
	if err != nil {
		return err
	}
	// Setting a password ends every session; this browser goes on in a new one.
	if err := h.Browser.SignIn(w, r, user); err != nil {
		return err
	}
	http.Redirect(w, r, "/settings?notice=password-set", http.StatusSeeOther)
	return nil
}

func (h *handler) createToken(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := parseForm(r); err != nil {
		return err
	}
	view := newSettingsView()
	view.TokenName, view.TokenRole, view.TokenExpires = r.PostForm.Get("name"), r.PostForm.Get("role"), r.PostForm.Get("expires")
	expires, offered := expiry(h.Clock(), view.TokenExpires, view.Lifetimes)
	if !offered && actor.MayAdminister() { // who may not is told that
		view.TokenFaults = formFaults{{Path: "expiresAt", Message: "Choose one of these."}}
		return h.settingsPage(w, r, actor, http.StatusUnprocessableEntity, view)
	}
	_, secret, err := h.Accounts.CreateToken(r.Context(), actor, view.TokenName, account.Role(view.TokenRole), expires)
	if e := proto.AsError(err); e != nil && e.Code == proto.CodeValidation {
		view.TokenFaults = faultsIn(err, "name")
		return h.settingsPage(w, r, actor, e.Code.Status(), view)
	}
	if err != nil {
		return err
	}
	view = newSettingsView()
	view.Secret = secret
	return h.settingsPage(w, r, actor, http.StatusOK, view)
}

// expiry is when a token ends whose life, in days, was chosen from those offered;
// nil: never, which nobody gets who has not chosen it.
func expiry(now time.Time, chosen string, lives []choice) (at *time.Time, offered bool) {
	if !slices.ContainsFunc(lives, func(c choice) bool { return c.Value == chosen }) {
		return nil, false
	}
	days, err := strconv.Atoi(chosen)
	if err != nil || days == 0 {
		return nil, err == nil
	}
	end := now.AddDate(0, 0, days)
	return &end, true
}

func (h *handler) revokeToken(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := h.Accounts.RevokeToken(r.Context(), actor, r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(w, r, "/settings?notice=token-revoked#tokens", http.StatusSeeOther)
	return nil
}
