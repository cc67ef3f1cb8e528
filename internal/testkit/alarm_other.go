//go:build !linux

package testkit

import "time"

// alarm sleeps as exactly as the runtime can.
type alarm struct{}

func (*alarm) sleep(d time.Duration) { time.Sleep(d) }
func (*alarm) close()                {}
