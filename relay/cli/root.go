// Package cli is the relay's command line. Its serve command is where the rooms
// of the relay are put together; user, token and migrate work on the database
// beside a relay; connection, agent, apply and export talk to one by its API.
// Nothing imports it but main.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/internal/buildinfo"
	"sallyport/internal/mistyped"
	"sallyport/relay/config"
)

// outside is what a command has of the world: where it reads and writes, and
// the environment.
type outside struct {
	in       io.Reader // nil: nothing comes
	out, err io.Writer
	env      func(string) (string, bool)
}

// Main runs the command that args name and returns the exit status.
func Main(args []string, out, err io.Writer, env func(string) (string, bool)) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The first signal asks for a clean stop. From then on signals have their
	// usual effect, so a second one ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	return run(ctx, args, outside{in: os.Stdin, out: out, err: err, env: env})
}

func run(ctx context.Context, args []string, o outside) int {
	root := newRoot(o)
	root.SetArgs(args)
	root.SetOut(o.out)
	root.SetErr(o.err)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	if err != nil {
		fmt.Fprintf(o.err, "sallyport-relay: %v\n", err)
		return 1
	}
	return 0
}

// exitStatus is the error of a command that has said already what there is to
// say.
type exitStatus int

func (exitStatus) Error() string { return "" }

func newRoot(o outside) *cobra.Command {
	root := &cobra.Command{
		Use:           "sallyport-relay",
		Short:         "The relay: reach applications in the cloud and behind firewalls",
		SilenceUsage:  true,
		SilenceErrors: true, // run prints them once
	}
	root.Version = buildinfo.Version()
	root.SetVersionTemplate(versionLine())
	root.AddCommand(newServe(o), newUser(o), newToken(o), newMigrate(o), newVersion(o),
		newConnection(o), newAgent(o), newApply(o), newExport(o))
	mistyped.Explain(root)
	return root
}

func newVersion(o outside) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprint(o.out, versionLine())
		},
	}
}

func versionLine() string {
	return fmt.Sprintf("sallyport-relay %s (%s, %s)\n", buildinfo.Version(), buildinfo.Commit(), buildinfo.Go())
}

// addOptions gives a command a flag for each of the named options of the
// relay, or for all, and returns what loads them.
func addOptions(cmd *cobra.Command, o outside, only ...string) func() (*config.Config, error) {
	flags := cmd.Flags()
	flags.SortFlags = false
	var file string
	given := map[string]*string{}
	for _, option := range config.Table() {
		if option.EnvOnly || len(only) > 0 && !slices.Contains(only, option.Key) {
			continue
		}
		given[option.Key] = flags.String(option.Key, option.Default, option.Help+" [$"+option.Env()+"]")
		flags.Lookup(option.Key).Value = named{flags.Lookup(option.Key).Value, option.Type}
	}
	flags.StringVar(&file, "config", "", "YAML file of these options [$SALLYPORT_CONFIG]")
	return func() (*config.Config, error) {
		from := config.Sources{Flags: map[string]string{}, Env: o.env, File: file}
		if file == "" {
			from.File, _ = o.env("SALLYPORT_CONFIG")
		}
		for key := range maps.Keys(given) {
			if flags.Changed(key) {
				from.Flags[key] = *given[key]
			}
		}
		if len(only) > 0 {
			from.Only = only
		}
		c, err := config.Load(from)
		if err != nil {
			return nil, fmt.Errorf("options: %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		}
		return c, nil
	}
}

// named is a flag's value whose type is shown in the words of the table.
type named struct {
	pflag.Value
	kind string
}

func (n named) Type() string { return n.kind }
