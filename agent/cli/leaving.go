package cli

import (
	"context"

	"sallyport/agent/control"
)

// announceEnd tells the running agent which command is about to end it, so that
// it can say so when it is back. One that does not hear ends all the same.
func announceEnd(ctx context.Context, dir, command string) {
	var none struct{}
	_ = control.Tell(ctx, dir, "/leaving", leavingAsked{By: command}, &none)
}
