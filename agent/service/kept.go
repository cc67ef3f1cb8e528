package service

import (
	"context"
	"os"
	"runtime"
	"strings"
)

type nameKey struct{}

// withName notes under which name the manager knows the service whose work ctx
// is.
func withName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

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
