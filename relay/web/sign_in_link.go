package web

import "net/http"

// showSignInLink only shows a button: programs that preview links open them
// too, and must not use one up.
func (h *handler) showSignInLink(w http.ResponseWriter, r *http.Request) {
	// The address is a secret until the button is pressed.
	w.Header().Set("X-Robots-Tag", "noindex")
	if err := h.render(w, http.StatusOK, h.views.signInLink, page{Title: "Sign in"}); err != nil {
		h.refuse(w, r, err)
	}
}

func (h *handler) redeemSignInLink(w http.ResponseWriter, r *http.Request) {
	user, err := h.Accounts.RedeemLink(r.Context(), r.PathValue("token"))
	if err == nil {
		err = h.Browser.SignIn(w, r, user)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	to := "/connections"
	if !user.HasPassword {
		to += "?notice=set-password"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
