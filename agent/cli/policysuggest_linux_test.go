package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/agent/ledger"
	"sallyport/agent/linefile"
	"sallyport/internal/testkit"
)

// TestRulesAreSuggestedFromALedgerThatMetAFullDisk: the ledger's own file, with
// a line that the end of the disk has cut.
func TestRulesAreSuggestedFromALedgerThatMetAFullDisk(t *testing.T) {
	dir, ballast := testkit.FullDisk(t, 16<<10)
	path := filepath.Join(dir, ledger.File)
	kept, err := ledger.Open(ledger.Options{Path: path, Limits: linefile.Limits{Size: linefile.MinSize, Files: 1, Age: 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	rt := kept.Wrap(answering(http.StatusOK))
	long := "http://erp.test/orders/" + strings.Repeat("a", 1800) // or a line might just end where the disk does
	send := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, long, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 20*time.Second, "the disk is full", func() error {
		if send(); kept.Lost() == 0 {
			return errors.New("it takes all")
		}
		return nil
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	send()
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for _, line := range bytes.Split(text, []byte("\n")) {
		if len(line) > 0 && !json.Valid(line) {
			cut++
		}
	}
	if cut != 1 {
		t.Fatalf("%d lines were cut, want one: the test shows nothing", cut)
	}

	var out bytes.Buffer
	status := Main([]string{"policy", "suggest", "--data", dir}, World{Out: &out, Err: &out})
	want := regexp.MustCompile(`(?s)- allow GET http://erp.test/orders/\*\n# Passed over: 1 line `)
	if status != 0 || !want.MatchString(out.String()) {
		t.Errorf("exit status %d:\n%s", status, out.String())
	}
}

// answering answers every request with a status.
type answering int

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody, Request: r}, nil
}
