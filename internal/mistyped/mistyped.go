// Package mistyped says in plain words what is wrong with a command as it was typed,
// and how to write it. What reads commands (cobra, pflag) speaks of its own parts
// instead, and takes a command that there is not, within a group of them, for a
// wish for help: a script with such a slip would go on as if all were well.
package mistyped

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/internal/nearest"
)

// Explain has root and all commands below it fail with our words. It is called when
// all of them are there.
func Explain(root *cobra.Command) {
	root.SetFlagErrorFunc(flagFault)
	explain(root)
}

func explain(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		explain(below)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		if cmd.HasParent() { // of root, cobra itself says well what there is not
			group(cmd)
		}
		return
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			if cmd.HasSubCommands() && len(args) > 0 {
				return noCommand(cmd, args[0])
			}
			return argumentFault(cmd, args, check)
		}
	}
}

// group has a command that only holds others show its help by itself, and refuse
// what is none of them.
func group(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return noCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

func noCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	path := cmd.CommandPath()
	if other := meant(name, names); other != "" {
		return fmt.Errorf("there is no command %q; did you mean %s %s?", name, path, other)
	}
	return fmt.Errorf("there is no command %q; %s --help lists those there are", name, path)
}

// meant is the one of the names that was meant; "": none is much like it.
func meant(name string, names []string) string {
	other := nearest.Of(name, names...)
	if nearest.Distance(name, other) > 1+len(name)/4 {
		return ""
	}
	return other
}

// mostArguments is more than any command needs.
const mostArguments = 4

// argumentFault is about arguments of which there are too few or too many.
func argumentFault(cmd *cobra.Command, args []string, check cobra.PositionalArgs) error {
	what := "there is too much"
	if len(args) > 0 {
		what = fmt.Sprintf("%q is too much", args[len(args)-1])
	}
	for more := range mostArguments {
		if check(cmd, append(args[:len(args):len(args)], make([]string, more+1)...)) == nil {
			what = "something is missing"
			break
		}
	}
	return fmt.Errorf("%s; write: %s", what, cmd.UseLine())
}

// flagFault is about a flag that there is not, or one with a value that it can't have.
func flagFault(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var bare *pflag.ValueRequiredError
	switch args := cmd.Flags().Args(); { // those before the flag
	case cmd.HasSubCommands() && len(args) > 0 && errors.As(err, &unknown):
		return noCommand(cmd, args[0]) // whose flag it may be
	case errors.As(err, &unknown):
		return noFlag(cmd, unknown)
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		return fmt.Errorf("--%s: %q is not %s", flag.Name, invalid.GetValue(), wanted(flag, invalid))
	case errors.As(err, &bare):
		return fmt.Errorf("--%s needs a value: %s", bare.GetFlag().Name, bare.GetFlag().Usage)
	}
	return err
}

func noFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	name := "--" + err.GetSpecifiedName()
	if err.GetSpecifiedShortnames() != "" {
		name = "-" + err.GetSpecifiedName()
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if other := meant(err.GetSpecifiedName(), names); other != "" {
		return fmt.Errorf("there is no flag %s here; did you mean --%s?", name, other)
	}
	return fmt.Errorf("there is no flag %s here; %s --help lists those there are", name, cmd.CommandPath())
}

// wanted is what a flag's value must be.
func wanted(flag *pflag.Flag, err *pflag.InvalidValueError) string {
	switch flag.Value.Type() {
	case "duration":
		return "a time such as 90s, 30m or 72h (a day is 24h)"
	case "bool":
		return "true or false"
	case "int", "int32", "int64", "uint", "uint16":
		return "a whole number"
	case "float64":
		return "a number"
	}
	return fmt.Sprintf("what it takes: %v", err.Unwrap())
}
