package web

import (
	"time"

	"sallyport/relay/session"
)

// tokenView is what is shown of a session's token: never any of it.
type tokenView struct {
	Expires     time.Time // zero: not said
	Refreshable bool
}

// Token is the session's token, nil where it has none.
func (v connectionView) Token() *tokenView { return tokenOf(v.Session) }

func tokenOf(s *session.Session) *tokenView {
	if s == nil || s.Token == nil {
		return nil
	}
	return &tokenView{Expires: s.Token.Expires, Refreshable: s.Token.Refresh != ""}
}

// NeedsPerson reports whether a person signs the connection in.
func (v connectionView) NeedsPerson() bool { return v.Auth.NeedsPerson() }
