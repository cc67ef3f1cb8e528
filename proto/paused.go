package proto

import (
	"errors"
	"fmt"
	"time"
)

// Paused is an agent's word that its site has paused it, or with no Since that
// it has not, any more. It is sent when a tunnel comes up on a paused agent, and
// whenever that changes. The agent answers every request with agent_paused; the
// relay sends it none as long as another machine of the agent is not paused.
type Paused struct {
	Since time.Time `json:"since,omitzero"`
	// Until is when it goes on by itself; zero: not before somebody says so.
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"` // as the site's admin wrote it
}

// MaxPauseReason is the longest reason, in bytes.
const MaxPauseReason = 200

func (*Paused) controlKind() string { return "paused" }

func (p *Paused) validate() error {
	if p.Since.IsZero() && (!p.Until.IsZero() || p.Reason != "") {
		return errors.New("it says until when or why, but not since when")
	}
	return checkText("reason", p.Reason, 0, MaxPauseReason)
}

// Failure is the error of a request that meets the pause. agent names who is
// paused.
func (p *Paused) Failure(agent string) *Error {
	e := &Error{Code: CodeAgentPaused, Outcome: OutcomeNotSent,
		Detail: fmt.Sprintf("%s was paused by its site at %s", agent, p.Since.UTC().Format("2006-01-02 15:04 UTC")),
		Hint:   "Nothing was sent. Ask the admin of the agent's site, who can resume it there with: sallyport-agent resume",
		Facts:  map[string]string{"since": p.Since.UTC().Format(time.RFC3339)},
	}
	if p.Reason != "" {
		e.Detail += ": " + p.Reason
		e.Facts["reason"] = p.Reason
	}
	e.Detail += "."
	if !p.Until.IsZero() {
		e.Hint = "Nothing was sent. It goes on by itself at " + p.Until.UTC().Format("2006-01-02 15:04 UTC") + "; the admin of its site can resume it before."
		e.Facts["until"] = p.Until.UTC().Format(time.RFC3339)
	}
	return e
}
