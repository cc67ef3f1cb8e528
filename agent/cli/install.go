package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"sallyport/agent/service"
)

// installFlags are what install has beside the options of agent.yaml.
type installFlags struct {
	instance string
	code     string
	allow    []string
	replace  bool
	noStart  bool
}

func newInstall(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install --relay URL --code CODE",
		Short: "Install the agent as a service of this machine, enrolled and online",
		Long: "Install the agent as a service of this machine: check the way to the relay, enrol, register the service with its\n" +
			"own account, start it, and wait until it is online. If a step fails, what was done before is taken back.\n\n" +
			"Where the agent is installed already, install upgrades it in place: the program and the service become those of\n" +
			"this version, the identity and the settings stay. Options that are given again are changed.\n\n" +
			"So that the code does not show in the process list, give it in $SALLYPORT_CODE, or on standard input with --code -.",
		Example: "  sudo sallyport-agent install --relay https://relay.example.com --code CODE --allow https://erp.plant2.internal/**\n" +
			"  sudo sallyport-agent install                       # upgrade to the version of this program\n" +
			"  sudo sallyport-agent install --instance plant3 --relay https://relay.example.com --code CODE",
		Args: cobra.NoArgs,
	}
	sources := addSources(cmd, w, slices.Concat([]string{"relay"}, egressFlags, []string{"target-proxy", "target-ca-file", "log-level"})...)
	var f installFlags
	addInstance(cmd, &f.instance)
	flags := cmd.Flags()
	flags.StringVar(&f.code, "code", "", "the one-time code; - reads it from standard input ($SALLYPORT_CODE)")
	flags.StringArrayVar(&f.allow, "allow", nil, "a `rule` of what the relay may reach, such as https://erp.plant2.internal/**; may be repeated")
	flags.BoolVar(&f.replace, "replace", false, "enrol anew, and give up the identity that this machine has")
	flags.BoolVar(&f.noStart, "no-start", false, "install, and leave it to `sallyport-agent start` or the next boot to start it")
	flags.Lookup("config").Usage = "take this file for the service's agent.yaml"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := w.host(f.instance)
		if err != nil {
			return err
		}
		if err := host.Ready(); err != nil {
			return err
		}
		i, err := newInstallation(cmd.Context(), w, host, f, sources())
		if err != nil {
			return err
		}
		return i.run(cmd.Context())
	}
	return cmd
}

// addInstance gives a command the flag that tells several agents of one machine
// apart.
func addInstance(cmd *cobra.Command, instance *string) {
	cmd.Flags().StringVar(instance, "instance", "", "which of several agents of this machine, such as plant3")
}

// host is an agent's share of this machine.
func (w World) host(instance string) (service.Host, error) {
	if w.Host != nil {
		return w.Host(instance)
	}
	return service.This(instance)
}

// installed is the host of an agent that must be there.
func (w World) installed(cmd *cobra.Command, instance string) (service.Host, error) {
	host, err := w.host(instance)
	if err != nil {
		return nil, err
	}
	if err := host.Ready(); err != nil {
		return nil, err
	}
	status, err := host.Status(cmd.Context())
	if err != nil {
		return nil, err
	}
	if status.State == service.NotInstalled {
		return nil, fmt.Errorf("%s is not installed on this machine: sallyport-agent install%s --relay URL --code CODE", status.Name, host.Layout().Flag())
	}
	return host, nil
}

// errUndone is added to an error after which the machine is as it was.
var errUndone = errors.New("nothing was changed")
