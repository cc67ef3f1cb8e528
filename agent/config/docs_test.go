package config

import (
	"os"
	"strings"
	"testing"
)

// Config, Options, Example and the table in docs/agent.md are held to each
// other: see also TestExampleNamesEveryKeyWithItsDefault.
func TestDocsHaveEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Configuration\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if key, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
			rows[key] = rest
		}
	}
	for _, o := range Options() {
		row, ok := rows[o.Key]
		delete(rows, o.Key)
		switch {
		case !ok:
			t.Errorf("the table has no row for %s", o.Key)
		case o.Flag == "":
		case !strings.HasPrefix(row, " `--"+o.Flag+"`, `"+o.Env+"` |"):
			t.Errorf("%s: the row names other flags or variables than --%s, %s:%s", o.Key, o.Flag, o.Env, row)
		}
		restart := strings.Contains(row, "needs a restart")
		if want := len(NeedRestart(Config{}, differing(o.Key))) > 0; ok && restart != want {
			t.Errorf("%s: that it needs a restart is said: %v, and true: %v", o.Key, restart, want)
		}
	}
	for key := range rows {
		t.Errorf("the table has a row for %s, which is no key", key)
	}
}

// differing has another value for the key than the zero Config.
func differing(key string) Config {
	c := Config{}
	field := c.fields()[key]
	switch v := field.Addr().Interface().(type) {
	case *string:
		*v = "x"
	case *bool:
		*v = true
	}
	return c
}
