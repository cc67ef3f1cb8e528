package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// row is the line of docs/relay.md for an option.
func row(o Option) string {
	key := "`" + o.Key + "`"
	if o.EnvOnly {
		key = "–"
	}
	preset := ""
	if o.Default != "" {
		preset = "`" + o.Default + "`"
	}
	return fmt.Sprintf("| %s | `%s` | %s | %s | %s |", key, o.Env(), o.Type, preset, o.Help)
}

func TestDocsHaveTheTableOfOptions(t *testing.T) {
	text, err := os.ReadFile("../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, o := range Table() {
		rows = append(rows, row(o))
	}
	if want := strings.Join(rows, "\n") + "\n\n"; !strings.Contains(string(text), want) {
		t.Errorf("docs/relay.md lacks this table, as it is here:\n%s", want)
	}
}
