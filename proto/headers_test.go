package proto_test

import (
	"strings"
	"testing"

	"sallyport/proto"
)

func TestCallersAreFitForAHeader(t *testing.T) {
	for name, want := range map[string]string{
		"export":                "user export",
		"Ada Lovelace":          "user Ada Lovelace",
		" a\r\nb: 100% \u00fc ": "user %20a%0D%0Ab: 100%25 %C3%BC%20",
		"":                      "user ",
	} {
		if got := proto.Caller("user", name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := proto.Caller("token", strings.Repeat("\n", 500)); len(got) > proto.MaxCaller {
		t.Errorf("%d bytes", len(got))
	}
}
