package claim_test

import (
	"errors"
	"path/filepath"
	"testing"

	"sallyport/internal/claim"
)

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.lock")
	for range 2 {
		release, err := claim.Take(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := claim.Take(path); !errors.Is(err, claim.ErrTaken) {
			t.Errorf("taken twice: %v", err)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}
	if _, err := claim.Take(filepath.Join(t.TempDir(), "absent", "relay.lock")); err == nil || errors.Is(err, claim.ErrTaken) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}
