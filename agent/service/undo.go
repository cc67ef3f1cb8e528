package service

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Undo remembers how to take back what was done so far, so that an installation
// that fails leaves the machine as it was. The zero value has nothing to undo.
type Undo struct{ steps []undoStep }

type undoStep struct {
	what string // "remove the account"
	do   func(context.Context) error
}

// undoTimeout bounds each step: someone waits, perhaps after Ctrl-C.
const undoTimeout = 40 * time.Second

// Later notes how to take back what has just been done.
func (u *Undo) Later(what string, do func(context.Context) error) {
	u.steps = append(u.steps, undoStep{what, do})
}

// Back takes everything back, last first, also where a step fails or ctx has
// ended. Its error says what is left for a person to do.
func (u *Undo) Back(ctx context.Context) error {
	var failed []error
	for len(u.steps) > 0 {
		last := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		step, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		if err := last.do(step); err != nil {
			failed = append(failed, fmt.Errorf("could not %s: %w", last.what, err))
		}
		cancel()
	}
	return errors.Join(failed...)
}
