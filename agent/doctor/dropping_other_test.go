//go:build !linux

package doctor

import (
	"testing"

	"sallyport/internal/testkit"
)

// dropping is made with what Linux does when a queue is full.
func dropping(t *testing.T) string {
	t.Helper()
	testkit.Missing(t, "Linux", "a port whose queue is full refuses elsewhere")
	return ""
}
