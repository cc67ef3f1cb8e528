package web

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/proto"
)

type signInView struct{ Email, Next, Error string }

func (h *handler) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if _, err := h.Browser.User(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	h.signInPage(w, r, http.StatusOK, signInView{Next: next})
}

func (h *handler) signInWithPassword(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(r); err != nil {
		h.refuse(w, r, err)
		return
	}
	view := signInView{Email: strings.TrimSpace(r.PostForm.Get("email")), Next: localPath(r.PostForm.Get("next"))}
	user, err := h.Accounts.SignInWithPassword(r.Context(), view.Email, r.PostForm.Get("password"), r.RemoteAddr)
	if e := proto.AsError(err); e != nil {
		view.Error = strings.TrimSpace(e.Detail + " " + e.Hint)
		h.signInPage(w, r, e.Code.Status(), view)
		return
	}
	if err == nil {
		err = h.Browser.SignIn(w, r, user)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, view.Next, http.StatusSeeOther)
}

func (h *handler) signInPage(w http.ResponseWriter, r *http.Request, status int, view signInView) {
	if err := h.render(w, status, h.views.signIn, page{Title: "Sign in", Body: view}); err != nil {
		h.refuse(w, r, err)
	}
}

func (h *handler) signOut(w http.ResponseWriter, r *http.Request) {
	if err := h.Browser.SignOut(w, r); err != nil {
		h.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// leadToSignIn sends people to the sign-in page, and tells scripts that they
// are signed out.
func (h *handler) leadToSignIn(w http.ResponseWriter, r *http.Request) {
	to := "/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// localPath is where to go after signing in: a path of this relay and nothing
// that a browser could take for another host.
func localPath(next string) string {
	const home = "/connections"
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(next, "/sign-in") {
		return home
	}
	return next
}
