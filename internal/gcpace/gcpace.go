// Package gcpace sets how often both programs collect garbage. Each request
// leaves some, little of which lives: with Go's own pace, a relay or agent that
// is busy with small requests spends 7 % of its time on collections.
package gcpace

import (
	"os"
	"runtime/debug"
)

// percent is how much the heap may grow over what is in use before it is
// collected. Go's own is 100. It halves the cost of collections, for a heap
// that is at most half as large again.
const percent = 200

// Relax sets the pace, unless the environment does (GOGC, see package runtime).
func Relax() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
