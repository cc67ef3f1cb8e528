//go:build !windows

package service

import "context"

// Run does the agent's work as the service manager expects it to be done. Here
// that is a process like any other: it is stopped by a signal, which ends ctx.
func Run(ctx context.Context, work func(context.Context) error) error { return work(ctx) }
