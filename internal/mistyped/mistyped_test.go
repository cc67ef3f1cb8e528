package mistyped

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// program is one with a group of commands, and a command that others stand below.
func program(ran *[]string) *cobra.Command {
	run := func(cmd *cobra.Command, args []string) error {
		*ran = append(*ran, strings.Join(append([]string{cmd.CommandPath()}, args...), " "))
		return nil
	}
	root := &cobra.Command{Use: "prog", SilenceErrors: true, SilenceUsage: true}
	user := &cobra.Command{Use: "user", Short: "People"}
	add := &cobra.Command{Use: "add EMAIL", Short: "Add one", Args: cobra.ExactArgs(1), RunE: run}
	add.Flags().Duration("valid", 0, "for how long")
	add.Flags().IntP("lines", "n", 0, "how many")
	add.Flags().Bool("json", false, "as JSON")
	list := &cobra.Command{Use: "list", Short: "List them", Args: cobra.NoArgs, RunE: run}
	some := &cobra.Command{Use: "remove EMAIL...", Args: cobra.MinimumNArgs(1), RunE: run}
	logs := &cobra.Command{Use: "logs", Args: cobra.NoArgs, RunE: run}
	logs.AddCommand(&cobra.Command{Use: "level", Args: cobra.MaximumNArgs(1), RunE: run})
	user.AddCommand(add, list, some)
	root.AddCommand(user, logs)
	Explain(root)
	return root
}

func TestASlipIsToldWithWhatToWrite(t *testing.T) {
	for _, c := range []struct{ typed, says string }{
		{"user lst", `there is no command "lst"; did you mean prog user list?`},
		{"user lst --data x", `there is no command "lst"; did you mean prog user list?`},
		{"user everything", `there is no command "everything"; prog user --help lists those there are`},
		{"logs levle", `there is no command "levle"; did you mean prog logs level?`},
		{"usr", `unknown command "usr" for "prog"`},
		{"user --foo", `there is no flag --foo here; prog user --help lists those there are`},
		{"user add", "something is missing; write: prog user add EMAIL [flags]"},
		{"user add a b", `"b" is too much; write: prog user add EMAIL [flags]`},
		{"user remove", "something is missing; write: prog user remove EMAIL..."},
		{"user list all", `"all" is too much; write: prog user list`},
		{"user add a --vaild 3h", "there is no flag --vaild here; did you mean --valid?"},
		{"user add a -x", "there is no flag -x here; prog user add --help lists those there are"},
		{"user add a --valid 3d", `--valid: "3d" is not a time such as 90s, 30m or 72h (a day is 24h)`},
		{"user add a -n x", `--lines: "x" is not a whole number`},
		{"user add a --json=7", `--json: "7" is not true or false`},
		{"user add a --valid", "--valid needs a value: for how long"},
	} {
		var ran []string
		root := program(&ran)
		root.SetArgs(strings.Fields(c.typed))
		err := root.Execute()
		if err == nil || !strings.HasPrefix(err.Error(), c.says) || len(ran) > 0 {
			t.Errorf("%s: %v, ran %v", c.typed, err, ran)
		}
	}
}

func TestWhatIsTypedRightlyRuns(t *testing.T) {
	for typed, want := range map[string]string{
		"user add a --valid 3h -n 2": "prog user add a", "user remove a b c": "prog user remove a b c", "user list": "prog user list",
		"logs": "prog logs", "logs level": "prog logs level", "logs level debug": "prog logs level debug",
	} {
		var ran []string
		root := program(&ran)
		root.SetArgs(strings.Fields(typed))
		if err := root.Execute(); err != nil || strings.Join(ran, "; ") != want {
			t.Errorf("%s: %v, ran %v", typed, err, ran)
		}
	}
	var ran []string
	var out bytes.Buffer
	root := program(&ran)
	root.SetArgs([]string{"user"})
	root.SetOut(&out)
	if err := root.Execute(); err != nil || !strings.Contains(out.String(), "Add one") || strings.Contains(out.String(), "prog user [flags]") {
		t.Errorf("a group by itself: %v\n%s", err, out.String())
	}
}
