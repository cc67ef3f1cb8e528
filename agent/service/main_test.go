package service

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// on is the layout on a system.
func on(t *testing.T, system, instance string) Layout {
	t.Helper()
	l, err := LayoutOn(system, instance, func(name string) string {
		return map[string]string{"ProgramFiles": `C:\Program Files`, "ProgramData": `C:\ProgramData`}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
