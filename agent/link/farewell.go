package link

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"sallyport/proto"
)

// SupersededError: another agent that has this one's identity has connected, and
// the relay has given it this one's place. Who hears of it lives, so there are
// two of them.
type SupersededError struct {
	By string // where the other one runs, as the relay sees it
}

// Error says what to do about it.
func (e *SupersededError) Error() string {
	return fmt.Sprintf("another agent that has the identity of this one (on %s) has taken its place at the relay, and they will push each other off: "+
		"if this machine's data directory was copied, enrol one of the two anew, with enroll --replace", e.By)
}

// farewell is why the relay closed a tunnel, by what it said.
func farewell(code int, text string) error {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	switch {
	case code == proto.CloseSuperseded:
		return &SupersededError{By: text}
	case text != "":
		return errors.New("the relay closed the tunnel: " + text)
	}
	return errors.New("the relay closed the tunnel")
}
