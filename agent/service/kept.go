package service

import (
	"context"
	"os"
	"runtime"
	"strings"
)

// nameKey is under which the name is in a context; see Named.
type nameKey struct{}

// Named is the name under which Windows knows the service that this process is,
// also in its event log; "": it is none.
func Named(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}

// Unkept reports whether this process is a service whose standard error nobody
// keeps within limits: Windows throws it away, launchd lets a file grow. systemd
// puts it into the journal.
func Unkept(ctx context.Context) bool {
	return Named(ctx) != "" || runtime.GOOS == "darwin" && strings.HasPrefix(os.Getenv("XPC_SERVICE_NAME"), programName)
}
