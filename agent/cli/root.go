// Package cli is the agent's command line, one file a command. Its run command
// is where the rooms of the agent are put together; nothing imports it but main.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/agent/config"
	"sallyport/agent/service"
	"sallyport/internal/buildinfo"
	"sallyport/internal/mistyped"
)

// World is what a command has of the world.
type World struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) (string, bool)
	// Host is an agent's share of this machine; nil: service.This.
	Host func(instance string) (service.Host, error)
}

// Main runs the command that args name and returns the exit status.
func Main(args []string, w World) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for a clean stop. From then on signals have their
	// usual effect, so a second one ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	root := newRoot(w)
	root.SetArgs(args)
	root.SetIn(w.In)
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintf(w.Err, "sallyport-agent: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// errSaid: the command failed and has told the user already.
var errSaid = errors.New("said")

func newRoot(w World) *cobra.Command {
	root := &cobra.Command{
		Use:           "sallyport-agent",
		Short:         "The agent: let a relay reach applications behind this firewall",
		SilenceUsage:  true,
		SilenceErrors: true, // Main prints them, once
	}
	root.Version = buildinfo.Version()
	root.SetVersionTemplate(versionLine())
	root.AddCommand(newInstall(w), newUninstall(w), newStart(w), newStop(w), newRestart(w))
	root.AddCommand(newEnroll(w), newRun(w), newStatus(w), newPause(w), newResume(w), newLedger(w), newLogs(w), newDoctor(w), newPolicy(w), newTrust(w), newConfig(w), newReload(w), newVersion(w))
	mistyped.Explain(root)
	return root
}

func newVersion(w World) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprint(w.Out, versionLine())
		},
	}
}

func versionLine() string {
	return fmt.Sprintf("sallyport-agent %s (%s, %s)\n", buildinfo.Version(), buildinfo.Commit(), buildinfo.Go())
}

// addSources gives a command flags for the named options of agent.yaml, and
// returns what tells where their values come from.
func addSources(cmd *cobra.Command, w World, only ...string) func() config.Sources {
	flags := cmd.Flags()
	flags.SortFlags = false
	wanted := map[string]bool{}
	for _, name := range only {
		wanted[name] = true
	}
	for _, o := range config.Options() {
		if !wanted[o.Flag] {
			continue
		}
		help := o.Help + " ($" + o.Env + ")"
		if o.Bool {
			flags.Bool(o.Flag, false, help)
		} else {
			flags.String(o.Flag, "", help)
		}
	}
	instance := ""
	if wanted["data"] && ofInstalled(cmd) {
		addInstance(cmd, &instance)
	}
	file := flags.String("config", "", "configuration file (default: "+config.FileName+" in the data directory)")
	return func() config.Sources {
		given := map[string]string{}
		flags.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
		s := config.Sources{File: *file, Flags: given, Env: w.Env}
		if wanted["data"] && ofInstalled(cmd) {
			w.fromInstalled(&s, instance)
		}
		return s
	}
}

// ofInstalled reports whether a command is about an agent that may have been
// installed as a service. The others make or are one that was not.
func ofInstalled(cmd *cobra.Command) bool { return cmd.Name() != "run" && cmd.Name() != "enroll" }

// fromInstalled names the directories of the installed agent, if there is one
// and no other data directory was named.
func (w World) fromInstalled(s *config.Sources, instance string) {
	if s.Given("data", "SALLYPORT_DATA") != "" || s.Given("relay", "SALLYPORT_RELAY") != "" && instance == "" {
		return
	}
	host, err := w.host(instance)
	if err != nil {
		return // then a data directory is asked for
	}
	layout := host.Layout()
	if _, err := os.Stat(layout.DataDir); err != nil && instance == "" {
		return
	}
	s.Flags["data"] = layout.DataDir
	if _, err := os.Stat(layout.Config()); err == nil && s.File == "" {
		s.File = layout.Config()
	}
}

// addOptions is addSources for a command that needs a data directory; what it
// returns loads the whole configuration.
func addOptions(cmd *cobra.Command, w World, only ...string) func() (config.Config, error) {
	sources := addSources(cmd, w, only...)
	return func() (config.Config, error) { return loadFrom(sources()) }
}

func loadFrom(s config.Sources) (config.Config, error) {
	c, err := config.Load(s)
	if err != nil {
		return config.Config{}, permitted(err)
	}
	c.DataDir, err = absolute(c.DataDir)
	if err != nil {
		return config.Config{}, err
	}
	return c, nil
}

// addDataDir is addOptions for a command that needs no more than the data
// directory, such as one that asks an agent which runs, or stops it from
// forwarding: a file that has become faulty meanwhile must not keep it from that.
func addDataDir(cmd *cobra.Command, w World) func() (string, error) {
	sources := addSources(cmd, w, "data")
	return func() (string, error) {
		dir, err := sources().DataDir()
		if err != nil {
			return "", permitted(err)
		}
		return absolute(dir)
	}
}

func absolute(dataDir string) (string, error) {
	if dataDir == "" {
		return "", errors.New("which data directory? Give --data DIR, set SALLYPORT_DATA, or set dataDir in the configuration file")
	}
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	return dir, nil
}

// notEnrolled adds to config.ErrNotEnrolled what to do.
func notEnrolled(err error, dir string) error {
	if !errors.Is(err, config.ErrNotEnrolled) {
		return err
	}
	return fmt.Errorf("%w.\nAsk the relay's page \"Agents\" for a code, and run:\n  sallyport-agent enroll --relay URL --code CODE --data %s", err, dir)
}
