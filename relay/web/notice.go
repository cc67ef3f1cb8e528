package web

import "net/http"

// noticeOf is the message that an action left for the page it leads to. The
// address names it and nothing more: a link can't put words on our pages.
func noticeOf(r *http.Request) *notice {
	good := func(text string) *notice { return &notice{Kind: "good", Icon: "ok", Text: text} }
	switch r.URL.Query().Get("notice") {
	case "set-password":
		return &notice{Kind: "", Icon: "warn", Text: "You are signed in by a link, which works only once.",
			Link: &link{"/settings#password", "Set a password for the next time"}}
	case "saved":
		return good("Saved.")
	case "deleted":
		return good("The connection was deleted.")
	case "signed-in":
		return good("Signed in with the application. Requests through this connection use that sign-in from now on.")
	case "signed-in-now":
		return good("Signed in. Requests use the new session from now on.")
	case "signed-out":
		return good("The stored session was dropped. The next request signs in anew.")
	case "agent-removed":
		return good("The agent was removed.")
	case "machine-removed":
		return good("The machine was removed. Its key no longer works.")
	case "renamed":
		return good("Renamed.")
	case "password-set":
		return good("The password was set. Every other browser that was signed in as you has been signed out.")
	case "person-changed":
		return good("Done.")
	case "token-revoked":
		return good("The token was revoked. It no longer works.")
	}
	return nil
}
