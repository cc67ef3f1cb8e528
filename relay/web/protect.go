package web

import (
	"net/http"

	"sallyport/proto"
)

// contentSecurityPolicy allows our own files and nothing inline: markup that
// slips into a page cannot run, load or send anything.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// formLimit bounds a posted form, in bytes. The largest honest one holds two
// bodies of a megabyte and some headers.
const formLimit = 4 << 20

// protect puts the headers on that every page needs, bounds what is posted,
// and refuses what another site's page posts in a signed-in person's name.
func (h *handler) protect(next http.Handler) (http.Handler, error) {
	origin := http.NewCrossOriginProtection()
	if u := h.PublicURL; u != nil && u.Host != "" {
		// A proxy in front may have rewritten Host.
		if err := origin.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, err
		}
	}
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, r, &proto.Error{Code: proto.CodeForbidden, Detail: "The browser says that this request comes from another site, so it was not carried out.",
			Hint: "Open the page here and press the button again. If that does not help, the relay's public URL (--public-url) may not be the address in your browser."})
	}))
	guarded := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		// Not "no-referrer": it would take the Origin from our own forms, by
		// which browsers without Sec-Fetch-Site (plain http) are recognised.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)
		guarded.ServeHTTP(w, r)
	}), nil
}

// parseForm reads the posted form; its error is one for a person.
func parseForm(r *http.Request) error {
	err := r.ParseForm()
	if err == nil {
		return nil
	}
	if tooLarge(err) {
		return &proto.Error{Code: proto.CodeTooLarge, Detail: "The form is too large: it may hold 4 MB. Nothing was saved.",
			Hint: "Shorten the longest field; a body may have 1 MB.", Err: err}
	}
	return &proto.Error{Code: proto.CodeValidation, Detail: "The form did not arrive whole. Nothing was saved.",
		Hint: "Go back and send it again.", Err: err}
}
