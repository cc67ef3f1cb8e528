package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/relay/registry"
)

// action is how an action of the audit trail is written where it is recorded.
var action = regexp.MustCompile(`"((?:connection|agent|instance|user|token)\.[a-z_]+)"`)

func TestEveryActionOfTheTrailHasWords(t *testing.T) {
	seen := 0
	for _, room := range []string{"../registry", "../account"} {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", room, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range action.FindAllSubmatch(text, -1) {
				seen++
				if name := string(m[1]); (activityRow{registry.Entry{Action: name}}).Change() == name {
					t.Errorf("%s: %s has no words", file, name)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d actions were found", seen)
	}
}
