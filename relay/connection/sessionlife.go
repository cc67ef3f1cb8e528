package connection

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// SessionLife says how long a session is used, and how often the relay may
// sign in.
type SessionLife struct {
	IdleMinutes      int   `json:"idleMinutes,omitempty" doc:"A session that was not used for so long is signed out. 0: never."`
	MaxMinutes       int   `json:"maxMinutes,omitempty" doc:"A session is not used for longer than this after its sign-in. 0: for as long as the application accepts it."`
	EndedStatusCodes []int `json:"endedStatusCodes,omitempty" doc:"The status codes by which the application says that a session has ended; default 401. The relay then signs in once and sends the request again."`
	SignInsPerMinute int   `json:"signInsPerMinute,omitempty" doc:"How often the relay signs in at most, by itself. 0: 10."`
}

// Limits of a session's life.
const (
	MaxIdleMinutes      = 60 * 24 * 30
	MaxSessionMinutes   = 60 * 24 * 365
	MaxEndedStatusCodes = 10
	MaxSignInsPerMinute = 600
)

// defaultSignInsPerMinute is far above what any session needs, and low enough
// for no application to take the relay for an attacker.
const defaultSignInsPerMinute = 10

// Idle is how long a session may be unused; 0: without end. There may be no
// SessionLife at all.
func (l *SessionLife) Idle() time.Duration {
	if l == nil {
		return 0
	}
	return time.Duration(l.IdleMinutes) * time.Minute
}

// Max is how long a session is used after its sign-in; 0: without end.
func (l *SessionLife) Max() time.Duration {
	if l == nil {
		return 0
	}
	return time.Duration(l.MaxMinutes) * time.Minute
}

// Ends reports whether a status code says that the session has ended.
func (l *SessionLife) Ends(status int) bool {
	if l == nil || len(l.EndedStatusCodes) == 0 {
		return status == http.StatusUnauthorized
	}
	return slices.Contains(l.EndedStatusCodes, status)
}

// MostSignIns is how often the relay may sign in within a minute.
func (l *SessionLife) MostSignIns() int {
	if l == nil || l.SignInsPerMinute == 0 {
		return defaultSignInsPerMinute
	}
	return l.SignInsPerMinute
}

// sessionDefaults is l as it is stored: nil where it says nothing.
func sessionDefaults(l *SessionLife) *SessionLife {
	if l == nil || l.IdleMinutes == 0 && l.MaxMinutes == 0 && len(l.EndedStatusCodes) == 0 && l.SignInsPerMinute == 0 {
		return nil
	}
	kept := *l
	kept.EndedStatusCodes = slices.Clone(l.EndedStatusCodes)
	return &kept
}

func checkSession(f *faults, l *SessionLife) {
	if l == nil {
		return
	}
	within := func(field string, n, most int, what string) {
		if n < 0 || n > most {
			f.add("auth.session."+field, "%d is not %s: enter a number from 1 to %d, or leave it empty.", n, what, most)
		}
	}
	within("idleMinutes", l.IdleMinutes, MaxIdleMinutes, "a number of minutes that a session may be idle")
	within("maxMinutes", l.MaxMinutes, MaxSessionMinutes, "a number of minutes that a session may last")
	within("signInsPerMinute", l.SignInsPerMinute, MaxSignInsPerMinute, "a number of sign-ins in a minute")
	if len(l.EndedStatusCodes) > MaxEndedStatusCodes {
		f.add("auth.session.endedStatusCodes", "At most %d status codes; there are %d.", MaxEndedStatusCodes, len(l.EndedStatusCodes))
	}
	for i, code := range l.EndedStatusCodes {
		if code < 400 || code > 599 {
			f.add(fmt.Sprintf("auth.session.endedStatusCodes[%d]", i), "%d can't say that a session has ended: enter codes from 400 to 599, such as 401 and 403. A redirect to a sign-in page is found by itself.", code)
		}
	}
}

// sessionWarnings tells what is worth a second look in a session's life.
func sessionWarnings(s Spec) []string {
	l := s.Auth.Session
	if l == nil {
		return nil
	}
	var w []string
	if len(l.EndedStatusCodes) > 0 && !slices.Contains(l.EndedStatusCodes, http.StatusUnauthorized) {
		w = append(w, "401 is not among the status codes that end a session: where the application answers 401, the relay does not sign in again.")
	}
	if slices.ContainsFunc(l.EndedStatusCodes, func(code int) bool { return code >= 500 }) {
		w = append(w, "A status code of 500 or above is said to end the session: each failure of the application then costs a sign-in.")
	}
	if l.IdleMinutes > 0 && l.MaxMinutes > 0 && l.IdleMinutes > l.MaxMinutes {
		w = append(w, "The session's idle time is longer than its longest life, so it has no effect.")
	}
	return w
}
