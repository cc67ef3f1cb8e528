package cli

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/relay/client"
)

func TestWhatApplicationsAnswerDoesNotCommandTheTerminal(t *testing.T) {
	const evil = "\x1b]0;owned\x07 \u009b31m \x7f"
	var out bytes.Buffer
	row(&out, evil, "two\nlines", "")
	showStep(&out, client.TestStep{Name: "ping", Status: "failed", Message: evil, Hint: evil})
	if strings.ContainsAny(out.String(), "\x1b\x07\x7f\u009b") {
		t.Errorf("%q", out.String())
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); !strings.Contains(first, "two lines") || !strings.HasSuffix(first, "–") {
		t.Errorf("%q", first)
	}
}
