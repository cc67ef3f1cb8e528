//go:build darwin || windows

package service

import "time"

// stopWait is how long a service may take to stop, requests under way included.
const stopWait = 25 * time.Second
