package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
)

func newConfig(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show or explain agent.yaml",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(w), newConfigShow(w), newConfigExample(w))
	return cmd
}

// newConfigCheck makes the command that a deployment asks before it hands a
// file to an agent, so it needs no agent and no enrolment.
func newConfigCheck(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config FILE]",
		Short: "Say all that is wrong with agent.yaml, each with its line; exit status 0 only if nothing is",
		Args:  cobra.NoArgs,
	}
	sources := addSources(cmd, w, "data")
	cmd.RunE = func(*cobra.Command, []string) error {
		s := sources()
		c, err := config.Load(s)
		if err == nil {
			_, err = prepare(c, w, nil)
		}
		var faults *config.Faults
		if errors.As(err, &faults) {
			fmt.Fprintln(w.Out, faults)
			return errSaid
		}
		if err != nil {
			return err
		}
		if s.Path() == "" {
			if c.DataDir != "" {
				fmt.Fprintf(w.Out, "OK: there is no %s, so defaults apply.\n", filepath.Join(c.DataDir, config.FileName))
				return nil
			}
			fmt.Fprintln(w.Out, "OK: there is no file, so defaults apply. Name one with --config FILE, or its data directory with --data DIR.")
			return nil
		}
		fmt.Fprintln(w.Out, "OK: "+s.Path())
		return nil
	}
	return cmd
}

func newConfigShow(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [--data DIR] [--config FILE]",
		Short: "Show every key with the value that applies and who set it; secrets are masked",
		Args:  cobra.NoArgs,
	}
	sources := addSources(cmd, w, optionFlags()...)
	cmd.RunE = func(*cobra.Command, []string) error {
		settings, err := config.Explain(sources())
		if err != nil {
			return err
		}
		for _, s := range settings {
			first, rest, _ := strings.Cut(s.YAML, "\n")
			fmt.Fprintf(w.Out, "%-40s # %s\n%s", first, s.From, rest)
		}
		return nil
	}
	return cmd
}

// optionFlags are the flags of all options.
func optionFlags() []string {
	var names []string
	for _, o := range config.Options() {
		if o.Flag != "" {
			names = append(names, o.Flag)
		}
	}
	return names
}

func newConfigExample(w World) *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Print an agent.yaml with every key, its meaning and its default",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(w.Out, config.Example)
			return err
		},
	}
}
