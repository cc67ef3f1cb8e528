package cli

import (
	"errors"
	"strings"
	"testing"
)

func TestTrustIsAskedFor(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "yes": true, "n\n": false, "\n": false, "": false, "maybe\n": false} {
		var out strings.Builder
		got, err := askTrust(t.Context(), strings.NewReader(answer), &out, "erp.test:8443")
		if got != want || errors.Is(err, errSaid) == want || !strings.Contains(out.String(), "erp.test:8443") {
			t.Errorf("%q: %v, %v, %s", answer, got, err, out.String())
		}
		if !want && !strings.Contains(out.String(), "Nothing was pinned.") {
			t.Errorf("%q: %s", answer, out.String())
		}
	}
}
